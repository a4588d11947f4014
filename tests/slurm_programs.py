"""Programs in place of Slurm's, in bash: they keep a queue in a folder, and start nothing."""

import os

import pytest

# A queued job is a file, named as squeue names it, of what squeue says of it: state|reason|script.
PROGRAMS = {
    "sbatch": """
if [ -f $QUEUE/refusal ]; then cat $QUEUE/refusal >&2; exit 1; fi
number=$(( $(cat $QUEUE/number) + 1 )); echo $number > $QUEUE/number
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' $1)
tasks=$(for index in $(seq 0 ${last:--1}); do echo ${number}_$index; done)
for job in ${tasks:-$number}; do echo "PENDING|Priority|$1" > $QUEUE/jobs/$job; done
echo Submitted batch job $number
""",
    "squeue": """
if [ -f $QUEUE/down ]; then echo slurm_load_jobs error: Unable to contact >&2; exit 1; fi
case "$*" in
  *--jobs=*) cat $QUEUE/state ;;
  *) for job in $(ls $QUEUE/jobs); do echo "$job|$(cat $QUEUE/jobs/$job)"; done ;;
esac
""",
    "scontrol": 'echo "$@" >> $QUEUE/scontrol',
    "srun": 'shift 3; exec "$@"',  # --unbuffered --output FILE
}


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """The folder of the queue: jobs/, number (of the last), scontrol (what it was told), state."""
    for name, text in PROGRAMS.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/bash\n{text.strip()}\n")
        program.chmod(0o755)
    folder = tmp_path / "queue"
    (folder / "jobs").mkdir(parents=True)
    (folder / "number").write_text("10")
    monkeypatch.setenv("QUEUE", str(folder))
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return folder

"""A Slurm of one node on loopback, its daemons' files in a folder; Debian's, without systemd."""

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import time

PACKAGES = ("slurm-wlm", "munge")
DAEMONS = ("munged", "slurmctld", "slurmd")
# cred_expire: a requeued job waits that long; the linuxproc and none plugins need no cgroups
CONFIGURATION = """\
ClusterName=resparse
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=10
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=30
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=2 PreemptMode=OFF
"""


def install():
    """Debian's packages, where a program is missing; raises PermissionError for who is not root."""
    os.environ["PATH"] += ":/usr/sbin"  # where Debian has daemons; not every user's PATH has it
    if all(map(shutil.which, (*DAEMONS, "sbatch"))):
        return
    line = f"apt-get install -y --no-install-recommends {' '.join(PACKAGES)}"
    if os.geteuid():
        raise PermissionError(f"Slurm is not installed, and only root may: {line}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in ("apt-get -qq update", line):
        subprocess.run(command.split(), check=True, env=environment, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def slurm(folder):
    """Inside, a Slurm runs that SLURM_CONF in the environment names; what it started is ended."""
    for part in ("munge", "state", "spool"):
        (folder / part).mkdir(parents=True, mode=0o755)
    key = folder / "munge" / "key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    host = socket.gethostname().split(".")[0]
    names = {"folder": folder, "host": host, "user": user(), "ports": free_ports(2)}
    (folder / "slurm.conf").write_text(CONFIGURATION.format(**names))
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    munge = [f"--{name}={folder}/munge/{name.split('-')[0]}" for name in MUNGE_FILES]
    commands = (
        ["munged", "--force", "--foreground", *munge],
        ["slurmctld", "-D"],
        ["slurmd", "-D", "-N", host],
    )
    with contextlib.ExitStack() as ended:
        for command in commands:
            ended.enter_context(daemon(command, folder / f"{command[0]}.log"))
        until(lambda: "idle" in said("sinfo", "--noheader", "--format=%T"), "an idle node", 30)
        ended.callback(end_jobs)
        yield


MUNGE_FILES = ("key-file", "socket", "pid-file", "seed-file")


@contextlib.contextmanager
def daemon(command, log):
    """Inside, the daemon runs in the foreground of a process of this one, then it is ended."""
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def end_jobs():
    """Cancel all jobs; returns when none has a process any more."""
    said("scancel", f"--user={user()}")
    until(lambda: not said("squeue", "--noheader"), "an empty queue", 60)


def until(holds, what, timeout_s):
    """Wait; fails naming ``what`` did not come within the time."""
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, f"no {what} within {timeout_s} s:\n{said('squeue')}"
        time.sleep(0.2)


def said(*command):
    """What a program of Slurm prints, errors too."""
    done = subprocess.run(command, stdout=-1, stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout.strip()


def user():
    """The name of who runs this, who is Slurm's user too."""
    return pwd.getpwuid(os.geteuid()).pw_name


def free_ports(count):
    """TCP ports that nobody listens on now."""
    with contextlib.ExitStack() as open_until_all_are_known:
        sockets = [open_until_all_are_known.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]

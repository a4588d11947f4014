"""What containers/ must keep to, so that an image is the same tomorrow: a sentence a breach."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import yaml

PINNED = re.compile(r"([\w./-]+):([\w.-]+)@(sha256:[0-9a-f]{64})")
INSTALL = re.compile(r"\b(?:pip3?|pipx|conda|mamba|easy_install|uv (?:add|sync|tool|pip))\b[^&|;]*")
LOCKED = re.compile(r"requirements/[\w${}-]+\.lock")
EDITABLE = "pip install --no-deps --no-build-isolation -e ."
LABELS = ("title", "description", "licenses", "revision", "base.name", "base.digest")
OUT = ("data", "runs", "shared", ".git", ".nox")  # of the image
WORDS = ("FROM", "ARG", "RUN", "COPY", "ENV", "LABEL", "WORKDIR", "USER", "ENTRYPOINT", "CMD")
Instruction = tuple[str, str]  # FROM, the rest of its line


def instructions(text: str) -> list[Instruction]:
    """A recipe's instructions, comments left out and continued lines joined."""
    kept = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(kept).replace("\\\n", " ")
    lines = [re.sub(r"\s+", " ", line).strip() for line in joined.splitlines()]
    return [(line.split(" ")[0].upper(), line.partition(" ")[2]) for line in lines if line]


def breaches(root: Path) -> list[str]:
    """All of a checkout's, in words; none where it keeps to the policy."""
    folder = root / "containers"
    text = (folder / "Dockerfile").read_text()
    recipe = instructions(text)
    found = [*_words(text, recipe), *_sources(recipe)]
    found += [*_bases(recipe, tomllib.loads((folder / "digests.toml").read_text())["image"])]
    found += [*_steps(recipe), *_user(recipe), *_labels(recipe)]
    found += [*_ignored((root / ".dockerignore").read_text()), *_second(folder)]
    return found


def _words(text: str, recipe: list[Instruction]) -> Iterator[str]:
    """What the other rules do not read: another syntax, lines of a here-document, ONBUILD, ADD."""
    if directive := re.match(r"(?:#.*\n)*?#\s*(syntax|escape|check)\s*=", text):
        yield f"# {directive[1]}=: the recipe is read as it stands"
    for word, rest in recipe:
        if word not in WORDS:
            yield f"{word} {rest[:60]}: valid: {', '.join(WORDS)}"
        if "<<" in rest:
            yield f"{word} {rest[:60]}: a here-document is not read; valid: a line with &&"


def _sources(recipe: list[Instruction]) -> Iterator[str]:
    """From where files come: stages above, no image beside the bases."""
    stages: set[str] = set()
    for word, rest in recipe:
        if word == "FROM":
            stages |= set(rest.split(" ")[2:])
        for name in re.findall(r"(?:^|[ ,])(?:--)?from=(\S[^\s,]*)", rest):
            if word in ("COPY", "RUN") and name not in stages:
                yield f"{word} takes from {name}; valid: a stage above"


def _bases(recipe: list[Instruction], listed: list[dict[str, object]]) -> Iterator[str]:
    stages: set[str] = set()
    used = set()
    for word, rest in recipe:
        if word != "FROM":
            continue
        base, *named = rest.split(" ")
        pinned = PINNED.fullmatch(base)
        if base not in stages and pinned is None:
            yield f"FROM {base}: valid: NAME:TAG@sha256:DIGEST, or a stage above"
        if pinned:
            used.add(pinned.groups())
        if pinned and pinned[2] == "latest":
            yield f"FROM {base}: latest is no tag to pin"
        stages |= set(named[1:])
    known = {(str(i["name"]), str(i["tag"]), str(i["digest"])) for i in listed}
    for name, tag, digest in used ^ known:
        yield f"{name}:{tag}@{digest} is in one of Dockerfile and digests.toml, not in both"
    for image in listed:
        if not image.get("source") or not re.fullmatch(r"\d{4}-\d\d-\d\d", str(image.get("date"))):
            yield f"digests.toml: {image['name']} needs a source and a date"


def _steps(recipe: list[Instruction]) -> Iterator[str]:
    for word, rest in recipe:
        if "://" in rest:
            yield f"{word} names a host: {rest[:60]}"
        if word != "RUN":
            continue
        if download := re.search(r"\b(?:curl|wget)\b", rest):
            yield f"RUN calls {download[0]}: what is downloaded comes by apt or by a lock"
        for match in INSTALL.finditer(rest):
            if match[0].split(" ")[:2] not in (["pip", "list"], ["pip", "check"]):
                yield from _install(match[0].strip())
    if not any(word == "RUN" and "s/^# http/URIs: http/" in rest for word, rest in recipe):
        yield "no step activates the Debian snapshot that the base's sources file records"


def _install(line: str) -> Iterator[str]:
    if line == EDITABLE:
        return
    words = line.split(" ")
    files = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "-r"]
    others = [w for w in words[2:] if not w.startswith("-") and w not in files]
    hashed = "--require-hashes" in words and words[:2] == ["pip", "install"]
    if not hashed or not files or others or not all(map(LOCKED.fullmatch, files)):
        yield f"outside the lock: {line}; valid: pip install --require-hashes -r A_LOCK"


def _user(recipe: list[Instruction]) -> Iterator[str]:
    last = max(i for i, (word, _) in enumerate(recipe) if word == "FROM")
    users = [rest for word, rest in recipe[last:] if word == "USER"]
    if not users or _is_root(users[-1]):
        yield f"USER {users[-1] if users else 'is not set'}: valid: one that is not root"
    if ("ENTRYPOINT", '["resparse"]') not in recipe[last:]:
        yield 'valid: ENTRYPOINT ["resparse"]'


def _is_root(user: object) -> bool:
    """Of a USER or a service's user, NAME:GROUP or a number; a variable could be anything."""
    name = str(user).split(":")[0].strip("'\"")
    return name in ("", "root") or "$" in name or (name.isdigit() and int(name) == 0)


def _labels(recipe: list[Instruction]) -> Iterator[str]:
    labels = " ".join(rest for word, rest in recipe if word == "LABEL")
    said = dict(re.findall(r'org\.opencontainers\.image\.([\w.]+)="([^"]+)"', labels))
    for name in LABELS:
        if name not in said:
            yield f"no label org.opencontainers.image.{name}"
    base = f"{said.get('base.name')}@{said.get('base.digest')}"
    if not any(word == "FROM" and base in rest for word, rest in recipe):
        yield f"labels say base {base}, no FROM does"


def _ignored(text: str) -> Iterator[str]:
    lines = [s for line in text.splitlines() if (s := line.strip()) and not s.startswith("#")]
    if lines[:1] != ["*"]:
        yield ".dockerignore: valid: * first, then what comes in"
    for line in lines:
        if not line.startswith("!"):
            continue
        if re.search(r"[*?\[\]\\]", line):
            yield f".dockerignore lets {line[1:]} in: valid: names, without patterns"
        if line[1:].strip("/").split("/")[0] in (*OUT, ".", ".."):
            yield f".dockerignore lets {line[1:]} in"


def _second(folder: Path) -> Iterator[str]:
    recipes = [
        p.name for p in folder.iterdir() if re.search("(?i)dockerfile|containerfile", p.name)
    ]
    if recipes != ["Dockerfile"]:
        yield f"more than one recipe: {', '.join(sorted(recipes))}"
    definition = (folder / "apptainer.def").read_text()
    if "\nBootstrap: docker-archive\n" not in definition or "%post" in definition:
        yield "apptainer.def: valid: the image of the Dockerfile as it is, without %post"
    for name, service in yaml.safe_load((folder / "compose.yaml").read_text())["services"].items():
        if service["build"].get("dockerfile") != "containers/Dockerfile":
            yield f"compose.yaml: {name} is built from another recipe"
        if not re.fullmatch(r"[\w/]+:.+", service["image"]) or ":latest" in service["image"]:
            yield f"compose.yaml: image {service['image']} has no tag, or latest"
        if "user" in service and _is_root(service["user"]):
            yield f"compose.yaml: {name} runs as {service['user']}; valid: one that is not root"
        if service.get("privileged") or service.get("cap_add"):
            yield f"compose.yaml: {name} has more rights than a user's"

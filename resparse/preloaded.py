"""What the fork server does once for all the trainings that are forked from it: see forking."""

import torch._dynamo  # noqa: F401 (torch.optim loads it where a training begins: a second)

from resparse.fingerprint import fingerprint
from resparse.worker import shared_files

fingerprint(shared_files())  # its files are parsed once for each state they are in

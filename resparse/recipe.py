"""A training recipe as papers state it, and in steps."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from resparse.errors import UsageError
from resparse.reading import Many, NotNegative, Positive, Table, read
from resparse.record import Recipe


class RecipeSpec(Table):
    """A recipe in the units papers use: epochs where they say epochs; either epochs or steps."""

    batch_size: Annotated[int, Field(gt=0)]
    epochs: Positive | None = None
    steps: Annotated[int, Field(gt=0)] | None = None
    lr: Positive
    lr_shape: Literal["cosine", "steps"]
    lr_drop_epochs: Many[NotNegative] = ()
    lr_factor: Annotated[float, Field(gt=0, le=1)] = 0.1
    warmup_epochs: NotNegative = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    weight_decay: NotNegative = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    sync_batch_norm: bool = False

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            both = f"epochs = {self.epochs} and steps = {self.steps}"
            raise ValueError(f"{both}; valid: one of the two")
        if self.nesterov and self.momentum == 0:
            raise ValueError(f"nesterov = true with momentum = {self.momentum}; valid: above 0")
        return self

    def changed(self, given: dict[str, Any]) -> "RecipeSpec":
        """This recipe with some values replaced; unknown keys and bad values are refused."""
        values = self.model_dump()
        if "steps" in given or "epochs" in given:
            values |= {"steps": None, "epochs": None}
        return read(RecipeSpec, values | given, "recipe")

    def resolve(self, train_size: int, length: float) -> Recipe:
        """Everything in steps; ``length`` stretches steps and drops, not the warm-up (as ITOP).

        Raises UsageError where that leaves no step to train.
        """
        if self.batch_size > train_size:
            raise UsageError(
                f"recipe: batch_size = {self.batch_size}; valid: at most {train_size}, all images"
            )
        per_epoch = train_size // self.batch_size
        steps = self.steps if self.steps is not None else round((self.epochs or 0) * per_epoch)
        steps = round(steps * length)
        # epochs of a length in epochs are of whole batches; one in steps passes over all images
        epoch = per_epoch if self.steps is None else train_size / self.batch_size
        warmup = round(self.warmup_epochs * epoch)
        if steps < 1:
            raise UsageError(
                f"recipe: epochs = {self.epochs} at length = {length} make no step; valid: one or "
                f"more, of {per_epoch} an epoch"
            )
        if warmup >= steps:
            raise UsageError(
                f"recipe: warmup_epochs = {self.warmup_epochs} are {warmup} steps; valid: fewer "
                f"than the {steps} of the training"
            )
        return Recipe(
            batch_size=self.batch_size,
            steps=steps,
            lr=self.lr,
            lr_shape=self.lr_shape,
            lr_drops=tuple(round(at * epoch * length) for at in self.lr_drop_epochs),
            lr_factor=self.lr_factor,
            warmup=warmup,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            label_smoothing=self.label_smoothing,
            sync_batch_norm=self.sync_batch_norm,
        )

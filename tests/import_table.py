"""Which modules of the package each may import; one that is not named may import any."""

METHOD_MAY = {
    f"resparse.{m}" for m in ("method", "families", "masks", "rules", "schedules", "distributions")
}
CONTRACT_MAY = {
    f"resparse.{m}" for m in ("errors", "exploration", "masks", "method", "promises", "registry")
}
CONTRACT_PARTS = {f"resparse.contract.{m}" for m in ("calls", "run", "shared", "toy")}
OUTER = {"resparse.artifact", "resparse.tables.cells", "resparse.tables.render", "resparse.runner"}
OUTER |= {"resparse.__main__", "resparse.verdict", "resparse.reproduce", "resparse.worker"}

MAY = {
    "masks": {"resparse.selection", "resparse.storage", "resparse.views"},
    "storage": {"resparse.engine.masking"},
    "views": {"resparse.storage"},
    "engine.threads": set(),
    "engine.kernels": {"resparse.engine.threads"},
    "engine.masking": {"resparse.engine.threads"},
    "engine.places": {"resparse.engine.threads"},
    "engine.draw": {"resparse.engine.places"},
    "engine.pattern": {
        *(f"resparse.engine.{m}" for m in ("kernels", "places", "threads")),
        "resparse.engine",
    },
    "engine.layers": {
        *(f"resparse.engine.{m}" for m in ("pattern", "places", "threads")),
        "resparse.engine",
    },
    "engine.packed": {
        *(f"resparse.engine.{m}" for m in ("layers", "pattern")),
        *(f"resparse.{m}" for m in ("selection", "storage")),
    },
    "selection": set(),
    "schedules": set(),
    "distributions": set(),
    "seeds": set(),
    "errors": set(),
    "method": {"resparse.masks", "resparse.uniform"},
    "allocator": set(),
    "uniform": {"resparse.engine.draw"},
    "flops": set(),
    "micronet": set(),
    "verdict": {"resparse.errors"},
    "driver": set(),
    "files": {"resparse.errors"},
    "locks": {"resparse.errors", "resparse.files"},
    "reading": {"resparse.errors"},
    "published": {"resparse.errors", "resparse.reading"},
    "claims.point": set(),
    "claims.support": set(),
    "claims.evidence": {"resparse.claims.point"},
    "claims.part": {
        *(f"resparse.claims.{m}" for m in ("evidence", "point")),
        *("resparse.errors", "resparse.reading"),
    },
    "claims.contrast": {
        *(f"resparse.claims.{m}" for m in ("evidence", "support")),
        "resparse.verdict",
    },
    "claims.view": {f"resparse.claims.{m}" for m in ("contrast", "evidence", "point")},
    "claims.shapes": {
        *(f"resparse.claims.{m}" for m in ("contrast", "evidence", "part", "point")),
        *(f"resparse.claims.{m}" for m in ("support", "view")),
        "resparse.schedules",
    },
    "claims.sweeps": {
        f"resparse.claims.{m}" for m in ("contrast", "part", "point", "shapes", "support", "view")
    },
    "claims.gathered": {
        *(f"resparse.claims.{m}" for m in ("evidence", "point")),
        *("resparse", "resparse.artifact", "resparse.record", "resparse.workloads"),
        *(f"resparse.{m}" for m in ("figures.figure", "kept", "worker")),
    },
    "claims.claim": {
        "resparse.claims.part",
        *(f"resparse.{m}" for m in ("errors", "reading", "table")),
    },
    "claims.judge": {
        *(f"resparse.claims.{m}" for m in ("claim", "evidence", "part", "point", "shapes")),
        *(f"resparse.claims.{m}" for m in ("support", "sweeps", "view")),
        *("resparse.errors", "resparse.verdict"),
    },
    "claims.printed": {
        *(f"resparse.claims.{m}" for m in ("claim", "evidence", "point")),
        *(f"resparse.{m}" for m in ("errors", "published", "reading")),
    },
    "claims.listing": {f"resparse.claims.{m}" for m in ("claim", "evidence", "judge")},
    "table": {"resparse.errors", "resparse.published", "resparse.reading"},
    "protocols.protocol": {"resparse.errors", "resparse.reading"},
    "protocols.check": {
        *(f"resparse.{m}" for m in ("artifact", "claims.gathered", "data", "data.protocol")),
        *(f"resparse.{m}" for m in ("errors", "method", "protocols.protocol", "registry")),
        "resparse",
    },
    "protocols.listing": {"resparse.errors", "resparse.protocols.protocol"},
    "sweep": {f"resparse.{m}" for m in ("errors", "reading", "recipe", "registry", "table")},
    "figures.figure": {
        f"resparse.{m}" for m in ("artifact", "tables.cells", "errors", "reading", "sweep")
    },
    "figures.draw": {
        *(f"resparse.{m}" for m in ("artifact", "figures", "figures.figure", "files", "table")),
        *(f"resparse.figures.{m}" for m in ("bars", "lines", "sweeps")),
    },
    "figures.style": {"resparse.figures.figure"},
    **{
        f"figures.{m}": {
            *("resparse.artifact", "resparse.sweep"),
            *("resparse.figures.figure", "resparse.figures.style"),
        }
        for m in ("bars", "lines", "sweeps")
    },
    "row": {f"resparse.{m}" for m in ("errors", "registry", "table")},
    "tables.section": set(),
    "tables.rs_section": {
        f"resparse.{m}" for m in ("artifact", "tables.cells", "tables.rs_fit", "tables.section")
    },
    "tables.rs_fit": {
        *(f"resparse.{m}" for m in ("artifact", "tables.cells", "distributions", "exact")),
        *(f"resparse.{m}" for m in ("exploration", "registry", "table", "workloads")),
    },
    "checkpoint": {"resparse.errors", "resparse.files"},
    "fingerprint": {"resparse.files"},
    "record": {"resparse.errors", "resparse.files", "resparse.holding"},
    "holding": {"resparse.errors", "resparse.files"},
    "kept": {f"resparse.{m}" for m in ("errors", "evidence", "files", "record")},
    "report": set(),
    "report.pieces": {
        *(
            f"resparse.{m}"
            for m in ("artifact", "asked", "cell", "figures.figure", "kept", "tables.render")
        ),
        *(f"resparse.{m}" for m in ("table", "tables.report")),
    },
    "report.shortfall": {
        *(f"resparse.{m}" for m in ("artifact", "kept", "record", "report.pieces", "runner")),
    },
    "report.model": {
        *(f"resparse.claims.{m}" for m in ("claim", "gathered", "listing", "printed")),
        *(
            f"resparse.{m}"
            for m in ("artifact", "errors", "kept", "reading", "record", "tables.render")
        ),
        *(f"resparse.report.{m}" for m in ("pieces", "shortfall")),
    },
    "report.words": {
        *(f"resparse.claims.{m}" for m in ("judge", "listing")),
        *(f"resparse.report.{m}" for m in ("model", "pieces")),
    },
    "report.details": {
        *("resparse.claims.listing", "resparse.record", "resparse.tables.render"),
        *(f"resparse.report.{m}" for m in ("model", "pieces")),
    },
    "report.html": {
        *("resparse.claims.listing", "resparse.tables.render", "resparse.tables.section"),
        *(f"resparse.report.{m}" for m in ("details", "model", "pieces", "words")),
    },
    "report.markdown": {
        *("resparse.claims.listing", "resparse.page", "resparse.tables.render"),
        *(f"resparse.report.{m}" for m in ("model", "pieces", "words")),
    },
    "report.latex": {"resparse.tables.render", "resparse.report.pieces", "resparse.report.words"},
    "report.badge": {"resparse.claims.judge", "resparse.report.model"},
    "report.flat": {"resparse.tables.render", "resparse.report.model"},
    "disk": {
        *(f"resparse.{m}" for m in ("checkpoint", "data", "files", "garbage")),
        *(f"resparse.{m}" for m in ("models", "outside", "record", "registry")),
    },
    "history": set(),
    "heartbeat": {"resparse.files"},
    "slurm.cluster": {"resparse.errors", "resparse.how"},
    "slurm.job": {f"resparse.{m}" for m in ("errors", "group", "how", "worker")},
    "registry": {f"resparse.{m}" for m in ("blame", "errors", "method", "outside")},
    "outside": {f"resparse.{m}" for m in ("errors", "files", "reading")},
    "blame": {f"resparse.{m}" for m in ("errors", "masks", "method", "views")},
    "promises": {"resparse.method"},
    "contract.blame": {"resparse.blame", "resparse.errors", "resparse.method"},
    "contract.shared": {"resparse.errors"},
    "contract.toy": {*CONTRACT_MAY, *(f"resparse.contract.{m}" for m in ("blame", "shared"))},
    "contract.calls": {*CONTRACT_MAY, "resparse.contract.toy"},
    "contract.run": {*CONTRACT_MAY, *CONTRACT_PARTS},
    "contract.conduct": {*CONTRACT_MAY, *CONTRACT_PARTS},
    "contract.weights": {*CONTRACT_MAY, *CONTRACT_PARTS},
    "contract.elsewhere": {*CONTRACT_MAY, *CONTRACT_PARTS},
    "contract": {
        "resparse.errors",
        "resparse.method",
        "resparse.contract.toy",
        "resparse.contract.conduct",
        "resparse.contract.elsewhere",
        "resparse.contract.weights",
    },
}

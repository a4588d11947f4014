"""For every claim that a figure decides: a world where it is so, and one where it is not."""

from claims_worlds import MLP, MODELS, RESNET34, by, cells, evidence, points

INTERVALS = (10, 30, 300, 1500, 4000)


def _figure3(acc=None, rs=None, change=0.0):
    swept = points("figure3", "SET", model=MODELS, sparsity=(0.9, 0.98), interval=INTERVALS)
    static = points("figure3", "Static", model=MODELS, sparsity=(0.9, 0.98))
    shape = {4000: 61.0, 1500: 62.0, 300: 63.0, 30: 58.0, 10: 55.0}
    mild = {4000: 61.0, 1500: 62.0, 300: 63.0, 30: 62.0, 10: 61.0}

    def so(p):
        return (mild if p.sparsity == 0.9 else shape)[p.interval]

    explored = by("interval", {10: 0.999, 30: 0.997, 300: 0.8, 1500: 0.5, 4000: 0.3})
    return evidence(
        cells(swept, "top1", acc or so),
        cells(swept, "rs", rs or explored),
        cells(swept, "nnz_change", change),
        cells(static, "top1", 60.0),
        cells(points("figure3", "Dense", model=MLP), "top1", 60.0),
    )


def _controls(fast):
    dense, faster = (points("controls_mlp", m, model=MLP) for m in ("Dense", "Dense_lr0.1"))
    return evidence(cells(dense, "top1", 60.0), cells(faster, "top1", fast))


LENGTHS = (1, 2, 4, 8, 16)
LESS = dict(zip(LENGTHS, (60.0, 62.0, 63.0, 63.1, 63.1), strict=True))  # sparsity 0.9
MORE = dict(zip(LENGTHS, (57.0, 59.0, 61.0, 62.5, 62.5), strict=True))  # sparsity 0.95


def _figure4(acc=None, static=55.0, dense=61.0, stopped=60.0, dense_long=None, swap=False):
    axes = {"model": MODELS, "sparsity": (0.9, 0.95), "length": LENGTHS}
    swept = points("figure4", "SET", interval=1500, **axes)
    tables = {0.9: MORE if swap else LESS, 0.95: LESS if swap else MORE}
    explored = {
        0.9: dict(zip(LENGTHS, (0.6, 0.9, 0.995, 0.999, 0.9991), strict=True)),
        0.95: dict(zip(LENGTHS, (0.4, 0.6, 0.9, 0.995, 0.999), strict=True)),
    }

    def at_end(p):
        return dense_long or (dense if p.model == RESNET34 else dense - 2.0)

    return evidence(
        cells(swept, "top1", acc or (lambda p: tables[p.sparsity][p.length])),
        cells(swept, "rs", lambda p: explored[p.sparsity][p.length]),
        cells(points("figure4", "Static", **axes), "top1", static),
        cells(points("figure4", "Dense", model=MODELS, length=1), "top1", dense),
        cells(points("figure4", "Dense", model=MODELS, length=16), "top1", at_end),
        cells(
            points("figure4", "SET-stopped", model=MODELS, sparsity=0.95, length=16),
            "top1",
            stopped,
        ),
    )


def _figure2(acc, flops):
    run = points("figure2", "SET-ITOP", sparsity=(0.8, 0.9), length=(1, 2))
    return evidence(
        cells(run, "top1", acc),
        cells(run, "train_flops", flops),
        cells(points("figure2", "Dense", length=1), "top1", 60.0),
    )


RIGL = {8000: 60.0, 4000: 63.0, 1500: 57.0, 500: 56.0, 100: 61.0}
SET = {8000: 60.0, 4000: 60.5, 1500: 62.0, 500: 61.0, 100: 59.5}


def _figure5(rigl=RIGL, set_=SET, rigl_long=64.0, rigl_rs=0.3):
    typical = {"sparsity": 0.95, "length": 1, "interval": tuple(RIGL)}
    long = {"sparsity": 0.95, "length": (2, 4)}
    return evidence(
        *(
            cells(points("figure5", name, **typical), "top1", by("interval", table))
            for name, table in (("RigL", rigl), ("SET", set_))
        ),
        cells(points("figure5", "RigL", **typical), "rs", rigl_rs),
        cells(points("figure5", "SET", **typical), "rs", 0.8),
        cells(points("figure5", "RigL", interval=4000, **long), "top1", rigl_long),
        cells(points("figure5", "SET", interval=1500, **long), "top1", 66.0),
        cells(points("figure5", "RigL", interval=4000, **long), "rs", rigl_rs),
        cells(points("figure5", "SET", interval=1500, **long), "rs", 0.8),
    )


def _figure6(acc=None, dense=None, rs=None):
    swept = points("figure6", "SET", sparsity=(0.9, 0.98), batch_size=(8, 16, 32, 64, 128))
    rising = {8: 61.0, 16: 61.0, 32: 60.0, 64: 59.0, 128: 58.0}

    def so(p):
        return rising[p.batch_size] - (4.0 if (p.sparsity, p.batch_size) == (0.9, 8) else 0.0)

    falling = {8: 58.0, 16: 59.0, 32: 60.0, 64: 61.0, 128: 62.0}
    explored = {8: 0.95, 16: 0.9, 32: 0.8, 64: 0.6, 128: 0.4}
    dense_points = points("figure6", "Dense", batch_size=tuple(falling))
    return evidence(
        cells(swept, "top1", acc or so),
        cells(swept, "rs", rs or by("batch_size", explored)),
        cells(dense_points, "top1", dense or by("batch_size", falling)),
    )


METHODS = {
    "SET-ITOP": 62.0,
    "LTH": 58.0,
    "SNIP": 57.0,
    "SNIP-SET-ITOP": 62.3,
    "LTH-SET-ITOP": 62.2,
}


def _figure7(**other):
    table = METHODS | {name.replace("_", "-"): value for name, value in other.items()}
    run = points("figure7", list(METHODS), model=(MLP, RESNET34), sparsity=(0.9, 0.95, 0.98))
    return evidence(
        cells(run, "top1", by("method", table)),
        cells(points("figure7", "Dense", model=(MLP, RESNET34)), "top1", 61.0),
    )


def _figure8(gap=(20.0, 15.0, 10.0), acc=(62.0, 61.0, 60.0), dense=35.0):
    run = points("figure8", ["SET-ITOP", "RigL-ITOP"], sparsity=(0.8, 0.9, 0.95))
    place = {0.8: 0, 0.9: 1, 0.95: 2}
    alone = points("figure8", "Dense")
    return evidence(
        cells(run, "top1", lambda p: acc[place[p.sparsity]]),
        cells(run, "train_top1", lambda p: acc[place[p.sparsity]] + gap[place[p.sparsity]]),
        cells(alone, "top1", 60.0),
        cells(alone, "train_top1", 60.0 + dense),
    )


def _figure9(acc, rs):
    run = points("figure9", "RigL", sparsity=(0.9, 0.95), interval=(1500, 4000), length=(1, 4))
    other = cells(run, "rs", lambda p: rs if p.interval == 1500 else 0.5)
    return evidence(cells(run, "top1", lambda p: acc if p.interval == 1500 else 62.0), other)


def _figure10(acc=None, rs=None, set_=None):
    batches = (8, 16, 32, 64, 128, 256)
    rigl = points("figure10", "RigL", sparsity=(0.9, 0.95), batch_size=batches)
    other = points("figure10", "SET", sparsity=(0.9, 0.95), batch_size=batches)
    best = dict(zip(batches, (58.0, 59.0, 60.0, 58.0, 57.0, 56.0), strict=True))
    explored = dict(zip(batches, (0.72, 0.7, 0.6, 0.5, 0.4, 0.3), strict=True))
    sets = dict(zip(batches, (61.0, 60.0, 59.0, 57.0, 56.0, 55.0), strict=True))
    return evidence(
        cells(rigl, "top1", acc or by("batch_size", best)),
        cells(rigl, "rs", rs or by("batch_size", explored)),
        cells(other, "top1", set_ or by("batch_size", sets)),
    )


UP = {8000: 60.0, 4000: 61.0, 1500: 62.0, 500: 63.0, 100: 64.0}
STORIES = {
    "itop-fig1-fixed-count": (_figure3(), _figure3(change=5.0)),
    "itop-fig2-flops": (_figure2(60.0, 0.2), _figure2(50.0, 0.2)),
    "itop-sec31-hypothesis": (_figure4(), _figure4(acc=55.0)),
    "itop-fig3-rise": (_figure3(), _figure3(acc=58.0)),
    "itop-fig3-drop": (_figure3(), _figure3(acc=lambda p: 70.0 - p.interval / 1000)),
    "itop-fig3-rs-monotone": (_figure3(), _figure3(rs=lambda p: p.interval / 10000)),
    "itop-fig3-full-rs-worse-than-static": (_figure3(), _figure3(acc=64.0)),
    "itop-fig3-low-sparsity-robust": (
        _figure3(),
        _figure3(acc=lambda p: 60.0 - (5.0 if (p.sparsity, p.interval) == (0.9, 10) else 0.0)),
    ),
    "itop-fig4-static-lowest": (_figure4(), _figure4(static=70.0)),
    "itop-fig4-gain": (_figure4(), _figure4(acc=lambda p: 62.0 - p.length)),
    "itop-fig4-beats-dense": (_figure4(), _figure4(dense=70.0)),
    "itop-fig4-lower-sparsity-faster": (_figure4(), _figure4(swap=True)),
    "itop-fig4-stop-control": (_figure4(), _figure4(stopped=66.0)),
    "itop-fig4-dense-extended": (_figure4(), _figure4(dense_long=63.0)),
    "itop-fig4-plateau-full-rs": (_figure4(), _figure4(acc=lambda p: 62.0 - p.length)),
    "itop-fig5-typical-shape": (_figure5(), _figure5(rigl=UP)),
    "itop-fig5-typical-amplitude": (_figure5(), _figure5(rigl=SET, set_=RIGL)),
    "itop-fig5-typical-interval": (_figure5(), _figure5(rigl=SET, set_=RIGL)),
    "itop-fig5-extended-cross": (_figure5(), _figure5(rigl_long=70.0)),
    "itop-fig5-extended-rs": (_figure5(), _figure5(rigl_rs=0.9)),
    "itop-fig6-rs": (_figure6(), _figure6(rs=lambda p: p.batch_size / 200)),
    "itop-fig6-acc-up": (_figure6(), _figure6(acc=lambda p: 50.0 + p.batch_size / 10)),
    "itop-fig6-flip": (_figure6(), _figure6(acc=lambda p: 60.0 - 10 * p.sparsity)),
    "itop-fig6-dense-down": (_figure6(), _figure6(dense=lambda p: 62.0 - p.batch_size / 10)),
    "itop-fig6-large-bs": (_figure6(), _figure6(acc=65.0)),
    "itop-fig7-beats-all": (_figure7(), _figure7(SNIP=70.0)),
    "itop-fig7-5pct": (_figure7(), _figure7(SET_ITOP=55.0)),
    "itop-fig7-98": (_figure7(), _figure7(LTH=61.8)),
    "itop-fig7-resnet34-98": (_figure7(), _figure7(SET_ITOP=55.0)),
    "itop-fig7-plus-itop": (_figure7(), _figure7(SNIP_SET_ITOP=40.0)),
    "itop-fig7-variants-vs-set": (_figure7(), _figure7(LTH_SET_ITOP=40.0)),
    "itop-fig7-lth-snip-below": (_figure7(), _figure7(LTH=70.0)),
    "itop-sec7-random-beats-special": (_figure7(), _figure7(SNIP=70.0)),
    "itop-fig8-less-gap": (_figure8(), _figure8(dense=2.0)),
    "itop-fig8-density-trend": (_figure8(), _figure8(gap=(10.0, 15.0, 20.0))),
    "itop-fig8-tradeoff": (_figure8(), _figure8(acc=(60.0, 61.0, 62.0))),
    "itop-fig9-acc": (_figure9(61.0, 0.4), _figure9(63.0, 0.4)),
    "itop-fig9-rs": (_figure9(61.0, 0.4), _figure9(61.0, 0.6)),
    "itop-fig10-rise": (_figure10(), _figure10(acc=lambda p: 50.0 + p.batch_size / 10)),
    "itop-fig10-rs-bounded": (_figure10(), _figure10(rs=lambda p: 0.999 - p.batch_size / 1000)),
    "itop-fig10-cross": (_figure10(), _figure10(set_=70.0)),
    "itop-appA-mlp-lr": (_controls(10.0), _controls(59.0)),
}

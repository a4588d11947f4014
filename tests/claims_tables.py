"""For every claim that a table decides: a world where it is so, and one where it is not."""

from claims_worlds import by, cells, evidence, points

from resparse.claims.shapes import explored_bound

ALPHAS = (0.1, 0.3, 0.5, 0.7, 0.9)
INTERVALS = (15000, 10000, 8000, 5000, 3000)
PEAK = dict(zip(ALPHAS, (93.0, 93.6, 94.5, 93.7, 93.4), strict=True))


def _explored(p):
    """Four fifths of what the updates could add; SET+ a tenth more."""
    density = 1 - p.sparsity
    most = explored_bound(density, p.alpha, p.interval, 97750)
    return (density + 0.8 * (most - density)) * (1.1 if p.method == "SET+" else 1.0)


def _table1(acc=None, rs=_explored, miss=0.0):
    run = points("table1", "SET", sparsity=0.95, alpha=ALPHAS, interval=INTERVALS)
    return [
        *cells(run, "top1", acc or by("alpha", PEAK)),
        *cells(run, "rs", rs),
        *cells(run, "rs_expected", lambda p: _explored(p) + miss),
        *cells(run, "rs_miss", 0.0),
        *cells(run, "rs_fall", 0.0),
    ]


def _table5(acc=94.5, rs=_explored):
    axes = {"sparsity": (0.9, 0.95), "interval": INTERVALS, "alpha": 0.5}
    run = points("table5", ["SET", "SET+"], **axes)
    return [
        *cells(run, "top1", lambda p: acc if p.method == "SET+" else 93.5),
        *cells(run, "rs", rs),
        *cells(run, "rs_expected", _explored),
    ]


ACCURACY = {
    "Dense": 76.8,
    "Static": 67.0,
    "SET": 69.0,
    "SNFS": 72.0,
    "RigL": 73.0,
    "GMP": 73.2,
    "LTR": 73.3,
    "RigL-ITOP": 74.0,
    "RigL-ITOP_2x": 77.0,
}
RS = {"Static": 0.0, "RigL-ITOP": 0.73, "RigL-ITOP_2x": 0.79}  # beyond the density


def _table2(rs=RS, train_2x=2.0, reverse=False, passes=3 * 1281167 * 100, **other):
    accuracy = ACCURACY | other
    run = points("table2", list(ACCURACY), sparsity=(0.9, 0.8))
    dense = points("table2", "Dense", sparsity=(0.9, 0.8))
    moving = points("table2", [m for m in RS if m != "Static"], sparsity=(0.9, 0.8))
    static = points("table2", "Static", sparsity=(0.9, 0.8))

    def test(p):
        return {0.9: 0.24, 0.8: 0.42}[round(1.7 - p.sparsity, 1) if reverse else p.sparsity]

    def train(p):
        return {0.9: 0.24, 0.8: 0.42}[p.sparsity] * (train_2x if p.method.endswith("2x") else 1)

    def explored(p):
        return 1 - p.sparsity + rs[p.method]

    return [
        *cells(run, "top1", by("method", accuracy)),
        *cells(run, "test_flops", test),
        *cells(run, "train_flops", train),
        *cells(moving, "rs", explored),
        *cells(static, "rs", explored, exact=True),  # a mask that stays has the R_s it starts with
        *cells(dense, "test_flops_total", 8.178e9),
        *cells(dense, "train_flops_total", 8.178e9 * passes),
    ]


def _controls(**other):
    accuracy = {"RigL": 73.0, "RigL_ER": 71.0, "RigL-ITOP": 74.0, "RigL-ITOP_bs32": 72.0, **other}
    run = points("controls_imagenet", list(accuracy), sparsity=0.8)
    return evidence(cells(run, "top1", by("method", accuracy)))


def _printed(accuracy=93.5, rs=0.1):
    """Both tables as printed, for the setting that they share."""
    first = points("table1", "SET", alpha=0.5, sparsity=0.95, interval=INTERVALS)
    fifth = points("table5", "SET", alpha=0.5, sparsity=0.95, interval=INTERVALS)
    return evidence(
        *(cells(run, "top1_std", 0.1, "printed") for run in (first, fifth)),
        cells(first, "top1", 93.5, "printed"),
        cells(fifth, "top1", accuracy, "printed"),
        cells(first, "rs", 0.1, "printed"),
        cells(fifth, "rs", rs, "printed"),
    )


def _intervals(resnet34=1000, again=1000):
    table = {"mlp": 1500, "vgg16": 2000, "resnet34": resnet34}
    third = points("table3", "SET", model=tuple(table))
    fourth = points("table4", "SET-ITOP", model="resnet34")
    return evidence(
        cells(third, "interval", by("model", table), "printed"),
        cells(fourth, "interval", again, "printed"),
    )


def _is(yes, no):
    return evidence(yes), evidence(no)


STORIES = {
    "itop-sec31-rs-def": (
        evidence(_table1(), _table2()),
        evidence(_table1(), _table2(rs=RS | {"Static": 0.2})),
    ),
    "itop-sec41-imagenet-order": _is(_table2(), _table2(SET=75.0)),
    "itop-table1-interior-peak": _is(_table1(), _table1(acc=lambda p: 90.0 + 4 * p.alpha)),
    "itop-table1-small-P-worst": _is(_table1(), _table1(acc=lambda p: 94.0 - 4 * p.alpha)),
    "itop-table1-rs-in-P": _is(_table1(), _table1(rs=lambda p: 0.5 - p.alpha / 10)),
    "itop-table1-rs-in-dT": _is(_table1(), _table1(rs=lambda p: p.interval / 1e5)),
    "itop-table1-rs-bound": (evidence(_table1(), _table5()), evidence(_table1(rs=0.9), _table5())),
    "itop-table1-rs-exact": (
        evidence(_table1(), _table5()),
        evidence(_table1(miss=0.05), _table5()),
    ),
    "itop-table2-itop-beats-rigl": _is(_table2(), _table2(RigL=75.0)),
    "itop-table2-itop-beats-gmp": _is(_table2(), _table2(GMP=75.0)),
    "itop-table2-itop-beats-gmp-08": _is(_table2(), _table2(GMP=75.0)),
    "itop-table2-itop-beats-ltr": _is(_table2(), _table2(LTR=75.0)),
    "itop-table2-2x-matches-dense": _is(_table2(), _table2(Dense=80.0)),
    "itop-table2-2x-best": _is(_table2(), _table2(LTR=80.0)),
    "itop-table2-rs-2x": _is(_table2(), _table2(rs=RS | {"RigL-ITOP_2x": 0.7})),
    "itop-table2-flops-2x": _is(_table2(), _table2(train_2x=1.5)),
    "itop-table2-gmp-flops-order": _is(_table2(), _table2(reverse=True)),
    "itop-table2-dense-flops": _is(_table2(), _table2(passes=2 * 1281167 * 100)),
    "itop-appB-bs64": (_controls(), _controls(**{"RigL-ITOP_bs32": 76.0})),
    "itop-appB-erk": (_controls(), _controls(RigL_ER=76.0)),
    "itop-table5-acc": _is(_table5(), _table5(acc=90.0)),
    "itop-table5-rs": _is(_table5(), _table5(rs=lambda p: 0.3 if p.method == "SET" else 0.2)),
    "itop-table5-rs-limited": _is(
        _table5(), _table5(rs=lambda p: 0.2 if p.method == "SET" else 0.4)
    ),
    "itop-table5-vs-table1": (_printed(), _printed(accuracy=94.0)),
    "itop-table3-deltaT": (_intervals(), _intervals(resnet34=1500)),
    "itop-table4-resnet34-deltaT": (_intervals(), _intervals(again=1500)),
}

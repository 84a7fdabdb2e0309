import numpy as np
import pytest
import torch

from smplifyx.optim.line_search import StrongWolfeSearch

ARMIJO, CURVATURE = 1e-4, 0.1
EPSILON = float(np.finfo(np.float64).eps)


def _barrier(t):
    with np.errstate(all="ignore"):
        return t**2 - 3 * t - np.log(1 - t), 2 * t - 3 + 1 / (1 - t)


def _kink(t):
    root = np.sqrt((t - 0.3) ** 2 + 1e-6)
    return root, (t - 0.3) / root


# t -> (phi, phi'), each with phi'(0) < 0; the first two after the test functions of Moré & Thuente (1994).
FUNCTIONS = {
    "rational": lambda t: (-t / (t**2 + 2), (t**2 - 2) / (t**2 + 2) ** 2),
    "quintic": lambda t: (
        (t + 0.1) ** 5 - 2 * (t + 0.1) ** 4,
        5 * (t + 0.1) ** 4 - 8 * (t + 0.1) ** 3,
    ),
    "ripples": lambda t: ((t - 2) ** 2 + 0.2 * np.sin(15 * t), 2 * (t - 2) + 3 * np.cos(15 * t)),
    "parabola": lambda t: (0.5 * (t - 1) ** 2, t - 1),
    "far": lambda t: (0.5 * (t - 1e4) ** 2, t - 1e4),
    "kink": _kink,
    "barrier": _barrier,
}
FIRST_STEPS = (1e-3, 0.1, 1.0, 10.0, 1e3)
CASES = [(name, step) for name in FUNCTIONS for step in FIRST_STEPS]


def _search(functions, first_steps, max_trials=60, epsilon=EPSILON, noise=0.0):
    """One search a function, all at once: accepted steps (NaN if none), trials, and the last outcome's flags."""
    n = len(functions)
    search = StrongWolfeSearch(n, ARMIJO, CURVATURE, max_trials, epsilon, noise=noise)
    start = torch.tensor([f(0.0) for f in functions], dtype=torch.float64)
    first = torch.tensor(first_steps, dtype=torch.float64)
    search.start(torch.ones(n, dtype=torch.bool), start[:, 0], start[:, 1], first)
    accepted, trials, running = np.full(n, np.nan), np.zeros(n, dtype=int), np.ones(n, dtype=bool)
    unresolved, low_step = np.zeros(n, dtype=bool), np.zeros(n)
    while running.any():
        step = search.step.numpy().copy()
        values = np.array([f(t) if on else (0.0, 0.0) for f, t, on in zip(functions, step, running, strict=True)])
        outcome = search.advance(*torch.from_numpy(values).T)
        accept, stop = outcome.accepted.numpy(), outcome.stopped.numpy()
        trials += running
        accepted[running & accept] = step[running & accept]
        unresolved |= running & outcome.unresolved.numpy()
        low_step[running] = search.low_step.numpy()[running]
        running &= ~(accept | stop)
    return accepted, trials, unresolved, low_step


def test_accepted_steps_satisfy_the_strong_wolfe_conditions():
    steps, trials, _, _ = _search([FUNCTIONS[name] for name, _ in CASES], [step for _, step in CASES])
    for (name, first), t in zip(CASES, steps, strict=True):
        (loss_0, slope_0), (loss, slope) = FUNCTIONS[name](0.0), FUNCTIONS[name](t)
        assert t > 0, (name, first)
        assert loss <= loss_0 + ARMIJO * t * slope_0, (name, first)
        assert abs(slope) <= -CURVATURE * slope_0, (name, first)
    assert trials.mean() < 7


@pytest.mark.parametrize("case", range(len(CASES)))
def test_a_search_does_not_see_its_neighbours(case):
    steps, trials, _, _ = _search([FUNCTIONS[name] for name, _ in CASES], [step for _, step in CASES])
    name, first = CASES[case]
    alone, trials_alone, _, _ = _search([FUNCTIONS[name]], [first])
    assert alone[0] == steps[case] and trials_alone[0] == trials[case]


def test_a_parabola_is_solved_by_the_first_interpolation():
    steps, trials, _, _ = _search([FUNCTIONS["parabola"]], [1.95])
    assert trials[0] == 2 and steps[0] == pytest.approx(1.0)


def test_gives_up_where_no_step_lowers_the_loss():
    steps, trials, unresolved, low_step = _search([lambda t: (1.0 + abs(t), -1.0)], [1.0], max_trials=20)
    assert np.isnan(steps[0]) and trials[0] <= 20 and low_step[0] == 0.0 and not unresolved[0]


def test_stops_at_once_where_only_rounding_is_left():
    eps = float(np.finfo(np.float32).eps)
    steps, trials, unresolved, _ = _search([lambda t: (1.0 + (eps if t else 0.0), -1e-8)], [1.0], epsilon=eps)
    assert np.isnan(steps[0]) and trials[0] == 1 and unresolved[0]


def test_keeps_the_best_step_of_a_function_without_minimum():
    steps, trials, _, low_step = _search([lambda t: (-t, -1.0)], [1.0], max_trials=8)
    assert np.isnan(steps[0]) and trials[0] == 8 and low_step[0] > 1e3


def test_steps_back_from_values_that_are_not_finite():
    bad = (np.nan, np.inf, -np.inf)

    def fenced(value):
        return lambda t: (0.5 * (t - 1) ** 2, t - 1) if t < 1.5 else (value, value)

    steps, _, _, _ = _search([fenced(value) for value in bad], [100.0] * 3)
    np.testing.assert_allclose(steps, 1.0, atol=CURVATURE)


def _noisy(t):
    """A parabola about 1 whose loss shows nothing: 1e-7 deep under an error of 1e-6."""
    return 1.0 + 1e-7 * (t - 1.0) ** 2 + (1e-6 if t else 0.0), 2e-7 * (t - 1.0)


def test_slopes_decide_where_the_loss_is_all_noise():
    steps, trials, _, _ = _search([_noisy] * 2, [1.02, 1.9], noise=2e-6)
    np.testing.assert_allclose(steps, 1.0, atol=CURVATURE)
    assert trials.max() <= 3
    steps, _, _, low_step = _search([_noisy], [1.02], max_trials=10)
    assert np.isnan(steps[0]) and low_step[0] == 0.0


def test_noise_excuses_no_larger_rise_and_no_step_that_promises_more():
    rising = [lambda t: (1.0 + (1e-5 if t else 0.0), -1e-7), lambda t: (1.0 + 1e-6 * t, -1e-3)]
    steps, _, _, low_step = _search(rising, [1.0, 1.0], max_trials=10, noise=2e-6)
    assert np.isnan(steps).all() and not low_step.any()


def _steep(t):
    """A narrow parabola about 1e-3, under an error of 3e-6, whose slope at 0 promises much more than there is."""
    return 1.0 + 0.5e3 * (t - 1e-3) ** 2 + (1e-3 if t else 0.0), 1e3 * (t - 1e-3)


def test_slopes_decide_where_no_more_than_noise_is_left():
    steps, trials, unresolved, _ = _search([_steep], [1.0], noise=1e-3, max_trials=20)
    np.testing.assert_allclose(steps, 1e-3, atol=CURVATURE * 1e-3)
    assert trials[0] < 20 and not unresolved[0]
    steps, _, _, low_step = _search([_steep], [1.0], max_trials=20)
    assert np.isnan(steps[0]) and low_step[0] == 0.0

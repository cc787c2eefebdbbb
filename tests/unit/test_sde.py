import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rfcodec.config import TrajectoryConfig
from rfcodec.errors import ConfigError
from rfcodec.flow.path import amplitude_snr, time_of_snr, velocity_to_clean, velocity_to_noise, velocity_to_score
from rfcodec.flow.sde import (
    EtaDiffusion,
    GeneralDiffusion,
    PowerDiffusion,
    equivalent_eta,
    euler_maruyama,
    extrapolate_clean,
    noise_information,
    posterior,
    posterior_noise_std,
)

steady = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

INNER = st.floats(0.02, 0.98)
STEPS = st.tuples(INNER, INNER).filter(lambda ts: abs(ts[0] - ts[1]) > 1e-3).map(lambda ts: (max(ts), min(ts)))
DIFFUSIONS = st.one_of(
    st.floats(0.05, 3).map(EtaDiffusion),
    st.builds(PowerDiffusion, st.floats(0.1, 4), st.floats(0, 3)),
)
FAMILIES = [
    EtaDiffusion(0.3),
    EtaDiffusion(1.0),
    EtaDiffusion(1.7),
    PowerDiffusion(3, 2),
    PowerDiffusion(1.1, 1),
    PowerDiffusion(0.7, 0.5),
    PowerDiffusion(0.4, 0.25),
    PowerDiffusion(0.4, 0),
]


def states(seed=0, shape=(2, 2, 3, 4)):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(3)]


@pytest.mark.parametrize("t", [0.05, 0.3, 0.77])
def test_eta_diffusion_is_its_formula(t):
    assert EtaDiffusion(1.4).g(t) ** 2 == pytest.approx(2 * 1.4**2 * t / (1 - t))
    assert PowerDiffusion(3, 2).g(t) == pytest.approx(3 * t * t)


def test_eta_diffusion_is_infinite_at_the_start_unless_it_is_the_ode():
    assert EtaDiffusion(1).g(1.0) == math.inf
    assert EtaDiffusion(0).g(1.0) == 0
    assert EtaDiffusion(1).refresh(1.0, 0.9) == math.inf
    assert EtaDiffusion(0).refresh(1.0, 0.9) == 0


@pytest.mark.parametrize("diffusion", FAMILIES)
def test_closed_forms_equal_the_numeric_integral(diffusion):
    for t, s in [(0.95, 0.9), (0.9, 0.2), (0.5, 0.01), (0.31, 0.3)]:
        numeric = GeneralDiffusion(diffusion.g)
        assert diffusion.refresh(t, s) == pytest.approx(numeric.refresh(t, s), rel=1e-9), (t, s)
        assert posterior_noise_std(t, s, diffusion) == pytest.approx(posterior_noise_std(t, s, numeric), rel=1e-9), (t, s)
        assert numeric.g(t) == diffusion.g(t), (t, s)


@pytest.mark.parametrize("diffusion", [d for d in FAMILIES if isinstance(d, PowerDiffusion)])
def test_power_diffusion_integrates_from_the_very_start(diffusion):
    assert diffusion.refresh(1.0, 0.6) == pytest.approx(GeneralDiffusion(diffusion.g).refresh(1.0, 0.6), rel=1e-9)


@steady
@given(st.floats(0.05, 3), STEPS)
def test_noise_of_the_eta_family(eta, times):
    t, s = times
    q = amplitude_snr(t) / amplitude_snr(s)
    assert posterior_noise_std(t, s, EtaDiffusion(eta)) ** 2 == pytest.approx(s * s * (1 - q ** (2 * eta**2)), rel=1e-7)


@steady
@given(STEPS)
def test_noise_of_gvccs_diffusion(times):
    t, s = times
    expected = s * s * (1 - math.exp(-3 * (t**3 - s**3)))
    assert posterior_noise_std(t, s, PowerDiffusion(3, 2)) ** 2 == pytest.approx(expected, rel=1e-7)


def test_eta_1_is_the_posterior_of_the_gaussian_chain():
    # x_s given x0 and x_t for x_t = (1-t) x0 + t eps, by conditioning a Gaussian pair
    t, s = 0.7, 0.45
    gain = (1 - t) / (1 - s)  # x_t = gain x_s + rest, independent of x_s
    rest = t * t - (gain * s) ** 2
    variance = 1 / (1 / s**2 + gain**2 / rest)
    assert posterior_noise_std(t, s, EtaDiffusion(1)) ** 2 == pytest.approx(variance)
    x, x0 = 0.37, -0.8
    mean = variance * ((1 - s) * x0 / s**2 + gain * x / rest)
    w = math.sqrt(variance)
    assert posterior(torch.tensor(x), torch.tensor(x0), t, s, w, None).item() == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize("diffusion", [EtaDiffusion(0.5), EtaDiffusion(1), EtaDiffusion(2)])
def test_the_first_eta_step_renews_all_noise(diffusion):
    assert posterior_noise_std(1.0, 0.8, diffusion) == pytest.approx(0.8)


@pytest.mark.parametrize("diffusion", FAMILIES)
def test_no_noise_at_the_very_end(diffusion):
    assert posterior_noise_std(0.1, 0.0, diffusion) == 0


@steady
@given(DIFFUSIONS, STEPS)
def test_noise_never_exceeds_what_the_state_may_hold(diffusion, times):
    t, s = times
    assert 0 <= posterior_noise_std(t, s, diffusion) <= s


@steady
@given(DIFFUSIONS, STEPS)
def test_equivalent_eta_injects_as_much_noise(diffusion, times):
    t, s = times
    same = EtaDiffusion(equivalent_eta(diffusion, t, s))
    assert same.refresh(t, s) == pytest.approx(diffusion.refresh(t, s), rel=1e-12)


@steady
@given(st.floats(0, 5), STEPS)
def test_equivalent_eta_of_an_eta_is_itself(eta, times):
    assert equivalent_eta(EtaDiffusion(eta), *times) == pytest.approx(eta, rel=1e-12)


@steady
@given(st.floats(0.01, 1), st.floats(0, 1))
def test_posterior_without_noise_is_the_euler_step_of_the_ode(t, share):
    s = t * share
    x, v, _ = states()
    for diffusion in (EtaDiffusion(0), PowerDiffusion(0, 2)):
        w = posterior_noise_std(t, s, diffusion)
        assert w == 0
        torch.testing.assert_close(
            posterior(x, velocity_to_clean(v, x, t), t, s, w, None), x - (t - s) * v, rtol=0, atol=1e-12
        )


def test_both_solvers_without_noise_are_the_same_step():
    x, v, _ = states()
    one = posterior(x, velocity_to_clean(v, x, 0.6), 0.6, 0.5, 0.0, None)
    torch.testing.assert_close(euler_maruyama(x, v, 0.6, 0.5, 123.0, None), one, rtol=0, atol=1e-14)


def test_the_posterior_step_is_its_formula():
    x, v, z = states()
    t, s, w = 0.8, 0.55, 0.2
    clean, noise = velocity_to_clean(v, x, t), velocity_to_noise(v, x, t)
    expected = (1 - s) * clean + math.sqrt(s * s - w * w) * noise + w * z
    torch.testing.assert_close(posterior(x, clean, t, s, w, z), expected, rtol=0, atol=1e-14)


def test_the_posterior_step_keeps_the_marginal_of_true_noise():
    # x_t = (1-t) x0 + t eps with x0_hat = x0: the new noise share must have variance s^2
    t, s = 0.8, 0.55
    w = posterior_noise_std(t, s, EtaDiffusion(1.3))
    eps_gain = posterior(torch.tensor(t), torch.tensor(0.0), t, s, w, None).item()
    assert eps_gain**2 + w**2 == pytest.approx(s * s, rel=1e-6)


def test_euler_maruyama_is_its_formula():
    x, v, z = states()
    t, s, g = 0.8, 0.75, 1.7
    drift = v - g * g / 2 * velocity_to_score(v, x, t)
    expected = x - drift * 0.05 + g * math.sqrt(0.05) * z
    torch.testing.assert_close(euler_maruyama(x, v, t, s, g, z), expected, rtol=0, atol=1e-12)


def test_both_solvers_agree_for_a_small_step():
    x, v, z = states()
    t, d, diffusion = 0.6, 1e-6, PowerDiffusion(3, 2)
    w = posterior_noise_std(t, t - d, diffusion)
    one = posterior(x, velocity_to_clean(v, x, t), t, t - d, w, z)
    torch.testing.assert_close(one, euler_maruyama(x, v, t, t - d, diffusion.g(t), z), rtol=0, atol=1e-7)


def test_euler_maruyama_refuses_an_infinite_diffusion():
    x, v, z = states()
    with pytest.raises(ConfigError, match="infinite"):
        euler_maruyama(x, v, 1.0, 0.9, EtaDiffusion(1).g(1.0), z)


def test_a_trajectory_of_eta_by_euler_maruyama_is_refused_before_its_first_step():
    with pytest.raises(ValidationError, match="infinite"):
        TrajectoryConfig(solver="euler_maruyama", diffusion="eta", eta=1)


@steady
@given(STEPS, st.floats(0.1, 1e6))
def test_information_at_eta_1(times, energy):
    t, s = times
    expected = 0.5 * (amplitude_snr(s) ** 2 - amplitude_snr(t) ** 2) * energy
    assert noise_information(t, s, EtaDiffusion(1), energy) == pytest.approx(expected, rel=1e-7)


@steady
@given(st.floats(0.1, 3), STEPS)
def test_information_at_any_eta(eta, times):
    t, s = times
    q = amplitude_snr(t) / amplitude_snr(s)
    expected = 0.5 * amplitude_snr(s) ** 2 * (1 - q ** (1 + eta**2)) ** 2 / (1 - q ** (2 * eta**2))
    assert noise_information(t, s, EtaDiffusion(eta), 1.0) == pytest.approx(expected, rel=1e-6)


@steady
@given(STEPS, st.floats(0.05, 4))
def test_information_is_least_at_eta_1(times, eta):
    best = noise_information(*times, EtaDiffusion(1), 1.0)
    assert noise_information(*times, EtaDiffusion(eta), 1.0) >= best * (1 - 1e-9)


@pytest.mark.parametrize("eta", [0.5, 0.9, 1.1, 2.0])
def test_information_is_strictly_more_away_from_eta_1(eta):
    best = noise_information(0.8, 0.6, EtaDiffusion(1), 1.0)
    assert noise_information(0.8, 0.6, EtaDiffusion(eta), 1.0) > 1.005 * best


def test_information_of_the_first_step():
    for eta in (0.4, 1.0, 1.5):  # nothing is left of the old noise, whatever eta
        expected = 0.5 * amplitude_snr(0.9) ** 2 * 7.0
        assert noise_information(1.0, 0.9, EtaDiffusion(eta), 7.0) == pytest.approx(expected)


def test_extrapolation_is_exact_for_an_estimate_linear_in_log_snr():
    # the step sees the estimate in the middle of its interval of ln A
    slope, level = torch.tensor([0.3, -2.0]), torch.tensor([1.0, 0.5])
    logs = [-1.0, -0.4, 0.5]
    times = tuple(time_of_snr(math.exp(u)) for u in logs)
    before, now = (level + slope * u for u in logs[:2])
    middle = level + slope * (logs[1] + logs[2]) / 2
    torch.testing.assert_close(extrapolate_clean(now, before, times), middle, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("times", [(1.0, 0.5, 0.2), (0.5, 0.2, 0.0)])
def test_extrapolation_falls_back_where_log_snr_is_infinite(times):
    now, before = torch.ones(3), torch.zeros(3)
    assert extrapolate_clean(now, before, times) is now

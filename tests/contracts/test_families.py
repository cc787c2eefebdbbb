"""Every family of pipelines: parity with the pipeline itself, and files that a fresh process decodes to the last bit."""

import family_checks as checks
import pytest
import tiny_models

CASES = [(name, known) for name in tiny_models.BUILDERS for known in checks.conditions(name)]
GUIDED = [("wan22-t2v", "none"), ("wan-vace", "first"), ("ltx-condition", "first+last"), ("mochi-t2v", "none")]


@pytest.mark.parametrize(("name", "known"), CASES)
def test_our_driver_is_the_pipeline(name, known):
    assert checks.parity(name, known) < checks.TOLERANCE


@pytest.mark.parametrize(("name", "known"), [case for case in CASES if case[0].startswith(("wan", "ltx-", "skyreels"))])
def test_our_velocity_is_the_driver(name, known):
    assert checks.native_parity(name, known) < checks.TOLERANCE


@pytest.mark.parametrize(("name", "known"), [case for case in GUIDED if case[0] in tiny_models.BUILDERS])
def test_guidance_is_the_pipelines_own(name, known):
    assert checks.parity(name, known, guidance_scale="3") < checks.TOLERANCE
    assert (checks.native_parity(name, known, guidance_scale="3") or 0) < checks.TOLERANCE


@pytest.mark.parametrize(("name", "known"), CASES)
def test_our_frames_are_the_pipelines(name, known):
    assert (checks.decoding(name, known) or 0) <= 1


NAMES = list(tiny_models.BUILDERS)
GROUPS = [NAMES[start::2] for start in range(2)]  # a process each, whose start costs more than its work


@pytest.mark.parametrize("names", GROUPS, ids=lambda names: " ".join(names))
def test_a_fresh_process_decodes_what_the_encoder_reconstructed(names, tmp_path):
    equal = checks.round_trips(names, tmp_path)
    assert {name for name, _ in equal} == set(names)
    assert equal == dict.fromkeys(equal, True)

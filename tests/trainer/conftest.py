import pytest
import torch

# the tensors here are tiny: more threads only get in each other's way
torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _records_of_consent_stay_in_the_tests(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield

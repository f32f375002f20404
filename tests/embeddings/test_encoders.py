"""Encoders by name."""

from __future__ import annotations

import pytest

from graphbo.embeddings import ENCODERS, TransformerEncoder, make_encoder


@pytest.mark.parametrize("name", ["gin", "gcn", "dvae", "transformer"])
def test_names_lead_to_encoders(name: str) -> None:
    encoder = make_encoder(name, ["a", "b"], dim=5)
    assert type(encoder) is ENCODERS[name]
    assert encoder.name == name
    assert encoder.dim == 5
    assert encoder.vocabulary[3:] == ("a", "b")


def test_settings_make_the_same_encoder_again() -> None:
    encoder = make_encoder("transformer", ["a"], hidden=12, heads=3)
    again = make_encoder(encoder.name, **encoder.settings)  # type: ignore[arg-type]
    assert isinstance(again, TransformerEncoder)
    assert again.settings == encoder.settings
    assert again.settings["heads"] == 3


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="no encoder 'gat'; choose one of gin, gcn, dvae, tran"):
        make_encoder("gat", ["a"])


def test_an_unknown_setting_is_refused() -> None:
    message = "encoder 'gin' has no setting 'heads'; it has dim, hidden, layers"
    with pytest.raises(ValueError, match=message):
        make_encoder("gin", ["a"], heads=2)


def test_a_bad_value_is_refused() -> None:
    with pytest.raises(ValueError, match="layers must be at least 1; got 0"):
        make_encoder("dvae", ["a"], layers=0)

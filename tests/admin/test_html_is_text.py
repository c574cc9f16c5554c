"""Text that looks like HTML is shown as text on every page of every model."""

from collections.abc import Iterator

import pytest

from tests.admin import rows
from tests.admin.pages import MODELS, named, url

pytestmark = [pytest.mark.slow, pytest.mark.django_db]


@pytest.fixture(scope="module")
def one_of_each_in_html(desk_for_all) -> Iterator[None]:
    """A desk with one row of everything whose texts are HTML, for all tests of the module."""
    with desk_for_all():
        rows.one_of_each(rows.HTML)
        yield


@pytest.mark.parametrize("model", **named(MODELS))
def test_html_in_text_is_shown_as_text(model, one_of_each_in_html, superuser):
    pages = [url(model, "changelist")]
    pages += [url(model, "change", row.pk) for row in model._default_manager.all()[:3]]
    for page in pages:
        body = superuser.get(page).content.decode()
        assert "<script>alert" not in body
        assert "<b>bold" not in body

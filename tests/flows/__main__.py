"""Compare a desk with the venue: `agreement` with Django set up first, as models need it."""

from importlib import import_module

import django

django.setup()
import_module("tests.flows.agreement").main()

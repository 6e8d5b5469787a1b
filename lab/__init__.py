"""What people see: pages and widgets. It holds no maths."""

# Whole, before any page is drawn: plotly looks at pandas wherever it finds it, and fails over one
# that another visitor's thread has half imported.
import pandas  # noqa: F401

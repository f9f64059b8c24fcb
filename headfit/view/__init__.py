"""`headfit view`: a run or a capture as a page in the browser.

What is shown is computed by plain functions of numpy arrays; only `page`, `run_page` and `capture_page` know viser.
"""

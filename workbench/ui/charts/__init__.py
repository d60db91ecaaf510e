"""Charts as pure functions: data in, a Plotly figure out."""

"""Fit the tree engine on a frame, ask for rows, judge them. Runs in seconds; writes nothing."""

from statsmodels.datasets import randhie

import understudy as us

visits = randhie.load_pandas().data.sample(6_000, random_state=0).astype({"mdvis": "int64"})
learnt, kept_back = visits.iloc[:4_000], visits.iloc[4_000:]

model = us.TreeSynthesizer(target="mdvis", seed=1).fit(learnt)
rows = model.sample(4_000, seed=1)  # a pandas frame, because a pandas frame went in
print(rows.describe().round(2).to_string())

heavy_users = model.sample(500, where="mdvis > 10 AND hlthp = 0", seed=2)
assert (heavy_users["mdvis"] > 10).all()

audit = us.audit(train=learnt, holdout=kept_back, synthetic=rows, target="mdvis")
print(audit.verdict.ruling, "-", audit.verdict.because)

insert into lifecycle.model_versions (
    domain, target, version, training_key, run_id, estimator, recipe, recipe_digest, feature_set_digest,
    snapshot_digest, as_of, known_at, train_start, train_end, train_rows, trials, scores, left_out, importance, costs,
    overfitting, code_commit, reason, requested_by
)
values (
    %(domain)s, %(target)s, %(version)s, %(training_key)s, %(run_id)s, %(estimator)s, %(recipe)s, %(recipe_digest)s,
    %(feature_set_digest)s, %(snapshot_digest)s, %(as_of)s, %(known_at)s, %(train_start)s, %(train_end)s,
    %(train_rows)s, %(trials)s, %(scores)s, %(left_out)s, %(importance)s, %(costs)s, %(overfitting)s, %(code_commit)s,
    %(reason)s, %(requested_by)s
)
on conflict (training_key) do nothing;

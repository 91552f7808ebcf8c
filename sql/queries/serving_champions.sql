select
    domain, horizon, model_version, champion_since, has_skill, estimator,
    log_loss, baseline_log_loss, brier, baseline_brier, accuracy, auc, rank_ic,
    trials, train_start, train_end, train_rows, trained_at, code_commit, mlflow_run_id, left_out
from serving.models
where role = 'champion'
order by domain, length(horizon), horizon;

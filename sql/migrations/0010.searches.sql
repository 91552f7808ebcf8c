-- Optuna makes and migrates its own tables here; nothing else of ours looks into them.
create schema if not exists search;

-- Estimators that did not learn for a version: it was made without them.
alter table lifecycle.model_versions add column if not exists left_out jsonb not null default '[]';

-- Optuna makes and migrates its own tables here; nothing else of ours looks into them.
create schema if not exists search;

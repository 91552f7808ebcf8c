-- After how many sessions a champion is to be refreshed, as the night has it in its settings; 0 for never. The views tell
-- from it which champions are overdue.
create table if not exists lifecycle.refresh_limits (
    domain text not null,
    target text not null,
    sessions integer not null check (sessions >= 0),
    primary key (domain, target)
);

select
    set_config('afterbell.as_of', $1, false),
    set_config('afterbell.known_at', $2, false),
    set_config('afterbell.timeframe', $3, false);

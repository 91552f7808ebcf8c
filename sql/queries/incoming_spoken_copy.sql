copy incoming_spoken from stdin with (format csv);

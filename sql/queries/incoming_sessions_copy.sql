copy incoming_sessions from stdin with (format csv);

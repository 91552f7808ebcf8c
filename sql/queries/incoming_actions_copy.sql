copy incoming_actions from stdin with (format csv);

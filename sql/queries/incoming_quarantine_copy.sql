copy incoming_quarantine from stdin with (format csv);

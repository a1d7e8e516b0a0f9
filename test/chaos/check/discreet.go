package check

import (
	"strings"
)

// discreet proves that no secret and no token stands anywhere, and no mobile
// number outside the tables that are meant for it.
func (c *checker) discreet() {
	secrets := []string{c.Run.Secret}
	for _, t := range c.Tokens {
		secrets = append(secrets, t.Token)
	}
	for name, text := range c.Logs {
		c.mustLack(name, text, append(secrets, "access_token"))
		c.mustLack(name, text, c.Run.Mobiles)
	}
	for name, text := range c.Metrics {
		c.mustLack(name, text, secrets)
		c.mustLack(name, text, c.Run.Mobiles)
	}
	for name, text := range c.Tables {
		if name != "tokens" {
			c.mustLack("table "+name, text, secrets)
		}
		if !personal[name] {
			c.mustLack("table "+name, text, c.Run.Mobiles)
		}
	}
}

// personal are the tables with what publishers sent and what the vendor said.
var personal = map[string]bool{"events": true, "rejects": true, "conflicts": true, "attempts": true, "lanes": true}

func (c *checker) mustLack(where, text string, what []string) {
	c.look(1)
	for i, w := range what {
		if w == "" {
			continue
		}
		at := strings.Index(text, w)
		if at < 0 {
			continue
		}
		line := text[strings.LastIndexByte(text[:at], '\n')+1:]
		if end := strings.IndexByte(line, '\n'); end >= 0 {
			line = line[:end]
		}
		c.find("%s has what it must not (number %d of its kind): %.300s", where, i+1, strings.ReplaceAll(line, w, "[…]"))
	}
}

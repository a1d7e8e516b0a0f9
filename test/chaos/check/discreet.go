package check

import "strings"

// discreet proves that no secret and no token stands anywhere, and no name and no
// mobile number outside the tables that are meant for them.
func (c *checker) discreet() {
	secrets := []string{c.Run.Secret}
	for _, t := range c.Tokens {
		secrets = append(secrets, t.Token)
	}
	mobiles := map[string]bool{}
	for _, m := range c.Run.Mobiles {
		mobiles[m] = true
	}
	for name, text := range c.Logs {
		c.mustLack(name, text, append(secrets, "access_token"))
		c.mustNameNobody(name, text, mobiles)
	}
	for name, text := range c.Metrics {
		c.mustLack(name, text, secrets)
		c.mustNameNobody(name, text, mobiles)
	}
	for name, text := range c.Tables {
		if name != "tokens" {
			c.mustLack("table "+name, text, secrets)
		}
		if !personal[name] {
			c.mustNameNobody("table "+name, text, mobiles)
		}
	}
}

// personal are the tables with what publishers sent and what the vendor said.
var personal = map[string]bool{"events": true, "rejects": true, "conflicts": true, "attempts": true, "lanes": true}

func (c *checker) mustLack(where, text string, secrets []string) {
	c.look(1)
	for _, s := range secrets {
		if at := strings.Index(text, s); s != "" && at >= 0 {
			c.find("%s has a secret: %.300s", where, strings.ReplaceAll(lineAt(text, at), s, "[…]"))
		}
	}
}

// mobileDigits is the length of a mobile number.
const mobileDigits = 11

// mustNameNobody looks at all digits that stand together, in one pass: there are
// many numbers, and long logs. Eleven digits of a longer number, or behind a
// decimal point, are a measurement.
func (c *checker) mustNameNobody(where, text string, mobiles map[string]bool) {
	c.look(1)
	if at := strings.Index(text, c.Run.Person); c.Run.Person != "" && at >= 0 {
		c.find("%s has a name: %.300s", where, strings.ReplaceAll(lineAt(text, at), c.Run.Person, "[…]"))
	}
	start := 0
	for i := range len(text) + 1 {
		if i < len(text) && text[i] >= '0' && text[i] <= '9' {
			continue
		}
		if m := text[start:i]; len(m) == mobileDigits && mobiles[m] && (start == 0 || text[start-1] != '.') {
			c.find("%s has a mobile number: %.300s", where, strings.ReplaceAll(lineAt(text, start), m, "[…]"))
			return
		}
		start = i + 1
	}
}

// lineAt is the line around a place in a text.
func lineAt(text string, at int) string {
	line := text[strings.LastIndexByte(text[:at], '\n')+1:]
	if end := strings.IndexByte(line, '\n'); end >= 0 {
		line = line[:end]
	}
	return line
}

package vendors

import "time"

// earliest is the longest time before its expiry at which a token is replaced.
const earliest = 200 * time.Second

// RefreshAt is when a token that was fetched at one time and expires at another
// is replaced: min(200 s, a tenth of its lifetime) early.
func RefreshAt(fetched, expires time.Time) time.Time {
	return expires.Add(-min(earliest, expires.Sub(fetched)/10))
}

// GoString keeps a token out of %#v.
func (t Token) GoString() string { return t.String() }

// MarshalText keeps a token out of JSON.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// TokenError is why a vendor gave no token. A TokenSource passes it through,
// wrapped or not.
type TokenError struct {
	// Result is the exchange that ended so: Denied where the credentials were
	// refused, Throttled, or NotSent for everything else.
	Result Result
}

// Error implements error.
func (e *TokenError) Error() string {
	text := "fetching the access token: " + string(e.Result.Class)
	if e.Result.Code != "" {
		text += ", code " + e.Result.Code
	}
	if e.Result.Message != "" {
		text += ": " + e.Result.Message
	}
	return text
}

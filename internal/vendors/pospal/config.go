package pospal

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"syncworker/internal/vendors"
)

// Config is one Pospal login.
type Config struct {
	Name string // the account's name, for errors
	// BaseURL is the merchant's own: https://area{N}-win.pospal.cn:443.
	BaseURL string
	AppID   string
	// Secret is the appKey. It signs and is never sent.
	Secret      vendors.Secret
	Timeout     time.Duration // of one exchange
	MaxInFlight int
	// CouponPath is the folder that addCouponcode is in, and promotioncouponcode/use
	// below it; empty is where the document has them.
	CouponPath string
	// Now is the clock that requests are stamped by.
	Now func() time.Time
	// RootCAs sign the vendor's certificate; nil means the system's.
	RootCAs *x509.CertPool
}

// check returns all that is wrong at once.
func (c Config) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.AppID == "" {
		bad("app_id: empty; give the appId from Pospal's open platform settings")
	}
	if c.Secret == "" {
		bad("secret: empty; give the appKey by secret_file or the environment")
	}
	if c.BaseURL == "" {
		bad("base_url: empty; give the merchant's own, such as https://area24-win.pospal.cn:443")
	}
	if c.Now == nil {
		bad("now: nil; give the clock that requests are stamped by")
	}
	if p := c.CouponPath; p != "" && (p[0] != '/' || p[len(p)-1] == '/' || strings.ContainsAny(p, " ?#%")) {
		bad("semantics.coupon_path: %q; give the folder of addCouponcode, such as %s", p, strings.TrimSuffix(reads, "/"))
	}
	return errors.Join(errs...)
}

// couponPaths returns where coupons are added and used. Clients have addCouponcode in
// three folders: the document's; that of the reads; and "promotion" in it.
func couponPaths(folder string) (add, use string) {
	if folder == "" {
		return writes + addCode + "/", writes + useCode + "/"
	}
	return folder + "/addCouponcode", strings.TrimSuffix(folder, "/promotion") + useCode
}

// New prepares an account without calling the vendor. Its error lists all that is
// wrong with the config.
func New(c Config) (*Account, error) {
	err := c.check()
	var transport *vendors.Transport
	if c.BaseURL != "" {
		var wrong error
		transport, wrong = vendors.NewTransport(vendors.TransportConfig{
			BaseURL: c.BaseURL, Timeout: c.Timeout, MaxInFlight: c.MaxInFlight, RootCAs: c.RootCAs,
		})
		err = errors.Join(err, wrong)
	}
	if err != nil {
		return nil, fmt.Errorf("account %q: %w", c.Name, err)
	}
	a := &Account{transport: transport, appID: c.AppID, secret: c.Secret, timeout: c.Timeout, now: c.Now}
	a.addPath, a.usePath = couponPaths(c.CouponPath)
	return a, nil
}

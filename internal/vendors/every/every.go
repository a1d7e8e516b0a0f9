// Package every lists the vendors that there are.
package every

import (
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/dmhub"
	"syncworker/internal/vendors/heyshop"
	"syncworker/internal/vendors/pospal"
)

// Kinds are the kinds of account, in the order of the documentation. A new vendor is
// a line here and a package of its own.
func Kinds() []vendors.Kind {
	return []vendors.Kind{
		dmhub.Loyalty,
		dmhub.CustomerDeals,
		heyshop.Kind,
		pospal.Kind,
	}
}

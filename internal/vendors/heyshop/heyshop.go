// Package heyshop speaks the loyalty API of HeyShop (Heidianer, 黑店): levels and
// points. The section names are those of the vendor's page "VIP会员积分";
// docs/vendors.md has what no document says.
//
// No call has a key of ours. What became of one is read from what is there after it
// and wasn't there before (vendors.Marker).
package heyshop

import (
	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// Name is this vendor's kind of account.
const Name = "heyshop"

const (
	levelsPath  = "/api/loyalty/level/"
	historyPath = "/api/loyalty/point_history/"
	adjustPath  = historyPath + "adjust/"
)

// Kind is what there is to know of a HeyShop account. Each shop has its own host,
// so that base_url is needed.
var Kind = vendors.Kind{
	Name: Name,
	Takes: []event.Type{
		event.PointIncremented, event.PointDecremented, event.LevelCreated, event.LevelUpdated, event.LevelDeleted,
	},
	Endpoints: []vendors.Endpoint{
		{Section: "查询积分等级规则", Method: "GET", Path: levelsPath, Read: "levels"},
		{Section: "查询指定积分等级规则", Method: "GET", Path: levelsPath + "{id}/", Read: "level"},
		{
			Section: "创建积分等级规则", Method: "POST", Path: levelsPath, Event: event.LevelCreated,
			Unclear: "never repeated; read: a level with the title that wasn't there before",
		},
		{
			Section: "更新会员等级规则", Method: "PUT", Path: levelsPath + "{id}/", Event: event.LevelUpdated,
			Unclear: "read and compared; repeated where it isn't as asked",
		},
		{
			Section: "删除会员等级规则", Method: "DELETE", Path: levelsPath + "{id}/", Event: event.LevelDeleted,
			Unclear: "read: 404 is done; repeated where it is still there",
		},
		{Section: "查询积分历史", Method: "GET", Path: historyPath, Read: "points"},
		{Section: "查询指定积分历史", Method: "GET", Path: historyPath + "{id}/", Read: "point-entry"},
		{
			Section: "调整指定用户积分", Method: "POST", Path: adjustPath, Event: event.PointIncremented,
			Unclear: unclearAdjust,
		},
		{
			Section: "调整指定用户积分", Method: "POST", Path: adjustPath, Event: event.PointDecremented,
			Unclear: unclearAdjust,
		},
	},
	New: func(s vendors.Setup) (vendors.Vendor, error) {
		a, err := New(s)
		if err != nil {
			return nil, err
		}
		return a, nil
	},
}

const unclearAdjust = "never repeated; read: the one row of the history with these points that wasn't there before"

// operation says what is known of a type's call.
func operation(t event.Type) (vendors.Operation, bool) {
	op := vendors.Operation{Findable: true, EchoProves: true, Blocks: true}
	switch t {
	case event.PointIncremented, event.PointDecremented:
		op.Name, op.Repeat, op.NeedsMember, op.NeedsMark = "POST "+adjustPath, vendors.RepeatNever, true, true
	case event.LevelCreated:
		op.Name, op.Repeat, op.NeedsMark = "POST "+levelsPath, vendors.RepeatNever, true
	case event.LevelUpdated:
		op.Name, op.Repeat = "PUT "+levelsPath+"{id}/", vendors.RepeatAlways
	case event.LevelDeleted:
		op.Name, op.Repeat = "DELETE "+levelsPath+"{id}/", vendors.RepeatAlways
	default:
		return vendors.Operation{}, false
	}
	return op, true
}

package dmhub

import (
	"fmt"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// membershipIDAsText writes the member as §12's sample does, whichever way it came.
func membershipIDAsText(b *body) {
	if raw := b.data.Get("membershipId"); present(raw) && raw[0] != '"' {
		b.set = append(b.set, event.Set{Key: "membershipId", Value: quote(string(raw))})
	}
}

// echoDevice compares what §12 echoes. Without a member the device is registered
// all the same: "推送设备信息会被注册为匿名的信息"; by its mobile number it may be
// another than the one that was asked for.
func echoDevice(call vendors.Call, rep reply) (vendors.Receipt, string) {
	sent := fieldsOf(call.Event.Data)
	for _, name := range []string{"provider", "appKey", "pushId", "os"} {
		if got := text(rep.fields[name]); got == "" || got != text(sent[name]) {
			return vendors.Receipt{}, fmt.Sprintf("%s is %q", name, shorten(got, 80))
		}
	}
	got, asked := text(rep.fields["membershipId"]), text(sent["membershipId"])
	if got != "" && asked != "" && got != asked && !present(sent["mobile"]) {
		return vendors.Receipt{}, fmt.Sprintf("membershipId is %q", shorten(got, 40))
	}
	return vendors.Receipt{Ref: text(rep.fields["pushId"]), Member: got}, ""
}

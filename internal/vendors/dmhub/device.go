package dmhub

import (
	"fmt"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// membershipIDAsText writes the member as §12's sample does, whichever way it came.
func membershipIDAsText(b *body) {
	if raw := b.data.Get("membershipId"); vendors.Given(raw) && raw[0] != '"' {
		b.set = append(b.set, event.Set{Key: "membershipId", Value: vendors.Quote(string(raw))})
	}
}

// echoDevice compares what §12 echoes. Without a member the device is registered
// all the same: "推送设备信息会被注册为匿名的信息"; by its mobile number it may be
// another than the one that was asked for.
func echoDevice(call vendors.Call, rep reply) (vendors.Receipt, string) {
	sent := vendors.Fields(call.Event.Data)
	for _, name := range []string{"provider", "appKey", "pushId", "os"} {
		if got := vendors.Text(rep.fields[name]); got == "" || got != vendors.Text(sent[name]) {
			return vendors.Receipt{}, fmt.Sprintf("%s is %q", name, vendors.Shorten(got, 80))
		}
	}
	got, asked := vendors.Text(rep.fields["membershipId"]), vendors.Text(sent["membershipId"])
	if got != "" && asked != "" && got != asked && !vendors.Given(sent["mobile"]) {
		return vendors.Receipt{}, fmt.Sprintf("membershipId is %q", vendors.Shorten(got, 40))
	}
	return vendors.Receipt{Ref: vendors.Text(rep.fields["pushId"]), Member: got}, ""
}

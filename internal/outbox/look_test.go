package outbox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

func TestListChoosesByEveryFilter(t *testing.T) {
	s := newShop(t)
	order := s.comes(create("o1"), refund("o1", "r1"))
	dead := s.comesAs(outbox.Dead, line{kind: event.PointDecremented, uuid: "p1", member: "13900005678"})
	other := s.comesTo([]string{"second"}, nil, line{kind: event.OrderCreated, order: "o2", tenant: "beta"})[0]
	inHand := s.comesTo([]string{account}, []string{account}, line{kind: event.PointIncremented, uuid: "p2"})[0]
	s.exec(`UPDATE outbox.deliveries SET received_at = received_at - interval '2 hours' WHERE id = $1`, dead)
	s.exec(`UPDATE outbox.events SET received_at = received_at - interval '2 hours' WHERE uuid = 'p1'`)

	for name, tt := range map[string]struct {
		f    outbox.Filter
		want []int64
	}{
		"all":            {outbox.Filter{}, []int64{inHand, other, dead, order[1], order[0]}},
		"ids":            {outbox.Filter{IDs: []int64{dead, 4711}}, []int64{dead}},
		"order":          {outbox.Filter{OrderNos: []string{"o1"}}, []int64{order[1], order[0]}},
		"member":         {outbox.Filter{Members: []string{"13900005678"}}, []int64{dead}},
		"member by key":  {outbox.Filter{Members: []string{"mobile:13900005678"}}, []int64{dead}},
		"other member":   {outbox.Filter{Members: []string{"id:13900005678"}}, nil},
		"dead":           {outbox.Filter{States: []outbox.State{outbox.Dead}}, []int64{dead}},
		"pending":        {outbox.Filter{States: []outbox.State{outbox.Pending}}, []int64{inHand, other, order[1], order[0]}},
		"delivered":      {outbox.Filter{States: []outbox.State{outbox.Delivered}}, nil},
		"account":        {outbox.Filter{Accounts: []string{"second"}}, []int64{other}},
		"tenant":         {outbox.Filter{Tenants: []string{"beta"}}, []int64{other}},
		"type":           {outbox.Filter{Types: []event.Type{event.OrderCreated}}, []int64{other, order[0]}},
		"reason":         {outbox.Filter{Reasons: []string{"because"}}, []int64{dead}},
		"code":           {outbox.Filter{Codes: []string{"409180"}}, []int64{dead}},
		"other code":     {outbox.Filter{Codes: []string{"1"}}, nil},
		"until":          {outbox.Filter{Until: time.Now().Add(-time.Hour)}, []int64{dead}},
		"since":          {outbox.Filter{Since: time.Now().Add(-time.Hour)}, []int64{inHand, other, order[1], order[0]}},
		"state and more": {outbox.Filter{States: []outbox.State{outbox.Pending}, Tenants: []string{"beta"}}, []int64{other}},
	} {
		t.Run(name, func(t *testing.T) {
			list, more, err := s.List(t.Context(), tt.f, 50)
			require.NoError(t, err)
			require.False(t, more)
			var ids []int64
			for _, l := range list {
				ids = append(ids, l.ID)
			}
			require.Equal(t, tt.want, ids)
		})
	}
	list, more, err := s.List(t.Context(), outbox.Filter{}, 4)
	require.NoError(t, err)
	require.True(t, more)
	require.Len(t, list, 4)
	require.Equal(t, outbox.Listed{
		ID: dead, Tenant: "default", Account: account, Type: event.PointDecremented, UUID: "p1", Member: "mobile:13900005678",
		State: outbox.Dead, Reason: "because", Attempts: 1, HTTPStatus: 200, VendorCode: "409180", VendorMessage: "会员积分不足",
		ReceivedAt: list[2].ReceivedAt, AgeSeconds: list[2].AgeSeconds,
	}, list[2])
	require.InDelta(t, 7200, list[2].AgeSeconds, 60)
}

// A list must not read all deliveries: the plan of each search names an index.
func TestListsUseTheirIndexes(t *testing.T) {
	s := newShop(t)
	s.exec(`INSERT INTO outbox.events (id, event_time, tenant, type, ce_id, source, order_no, uuid, membership_id, member, store,
			sales_channel, pattern, remark, decr_to_zero, binary_mode, payload)
		SELECT g, now(), 'default', 'order.created', 'c' || g, 's', 'o' || g, '', '', 'mobile:' || g, '', '', '', '', false, false, '{}'
		FROM generate_series(1, 20000) g`)
	s.exec(`INSERT INTO outbox.identities (order_no, uuid, kind, tenant, event_id, event_time, sequence, hash_version, hash)
		SELECT order_no, '', type, tenant, id, event_time, id, 1, '' FROM outbox.events`)
	s.exec(`INSERT INTO outbox.deliveries (event_id, event_time, lane, lane_rank, account, type, state, reason, owner, delivered_at)
		SELECT id, event_time, gen_random_uuid(), 0, 'dmhub', type, CASE WHEN id % 4000 = 0 THEN 'dead' ELSE 'delivered' END,
			CASE WHEN id % 4000 = 0 THEN 'refused' ELSE '' END, 1, CASE WHEN id % 4000 <> 0 THEN now() END FROM outbox.events`)
	s.exec(`UPDATE outbox.workers SET low_delivery = 19990`)
	s.exec(`ANALYZE outbox.events, outbox.deliveries, outbox.identities`)
	for name, f := range map[string]outbox.Filter{
		"order":  {OrderNos: []string{"o77"}},
		"member": {Members: []string{"77"}},
		"state":  {States: []outbox.State{outbox.Dead, outbox.Held}},
		"ids":    {IDs: []int64{77}},
	} {
		t.Run(name, func(t *testing.T) {
			plan := strings.Join(s.explained(f), "\n")
			require.NotContains(t, plan, "Seq Scan on deliveries", plan)
		})
	}
}

func (s *shop) explained(f outbox.Filter) (plan []string) {
	s.t.Helper()
	sql, args, err := s.ListSQL(s.t.Context(), f, 50)
	require.NoError(s.t, err)
	rows, err := s.conn.Query(s.t.Context(), `EXPLAIN `+sql, args...)
	require.NoError(s.t, err)
	defer rows.Close()
	for rows.Next() {
		var line string
		require.NoError(s.t, rows.Scan(&line))
		plan = append(plan, line)
	}
	require.NoError(s.t, rows.Err())
	return plan
}

func TestShowHasTheEventTheLaneAndEachAttempt(t *testing.T) {
	s := newShop(t)
	ids := s.comes(create("o1"), refund("o1", "r1"))
	s.becomes(ids[0], outbox.Dead)
	s.acts(outbox.Replay, ids[0])
	s.becomes(ids[0], outbox.Dead)
	s.comes(line{kind: event.OrderCreated, order: "o1", amount: "31"}) // a conflict
	s.comes(create("o1"))                                              // a duplicate

	x, err := s.Show(t.Context(), ids[0])
	require.NoError(t, err)
	require.Equal(t, "o1", x.OrderNo)
	require.Equal(t, 1, x.Event.Duplicates)
	require.Contains(t, string(x.Event.Data), `"productName":"Tea"`)
	require.Len(t, x.Lane, 2)
	require.Equal(t, outbox.LaneLine{
		ID: ids[0], Type: event.OrderCreated, State: outbox.Dead, Reason: "because", EventTime: x.Lane[0].EventTime, This: true,
	}, x.Lane[0])
	require.Equal(t, ids[1], x.Lane[1].ID)
	require.Len(t, x.AttemptLog, 2)
	require.Equal(t, "409180", x.AttemptLog[1].VendorCode)
	require.Equal(t, string(x.Event.Data), x.AttemptLog[1].Request, "the event's data where nothing else was sent")
	require.Len(t, x.Deeds, 1)
	require.Equal(t, []outbox.ConflictID{{ID: x.Conflicts[0].ID, Cause: "content"}}, x.Conflicts)
	require.Equal(t, []string{
		"syncworker deliveries replay " + itoa(ids[0]), "syncworker deliveries cancel " + itoa(ids[0]),
	}, x.Next)
	require.Empty(t, x.Worker)

	_, err = s.Show(t.Context(), 4711)
	require.ErrorIs(t, err, outbox.ErrNotFound)
}

func TestShowOutlivesThePayload(t *testing.T) {
	s := newShop(t)
	id := s.comesAs(outbox.Held, points("p1"))
	s.exec(`DELETE FROM outbox.events`)
	x, err := s.Show(t.Context(), id)
	require.NoError(t, err)
	require.Nil(t, x.Event)
	require.Equal(t, outbox.Held, x.State)
	require.NotEmpty(t, x.Next)
}

func TestShowNamesTheWorkerThatHasIt(t *testing.T) {
	s := newShop(t)
	id := s.comesTo([]string{account}, []string{account}, points("p1"))[0]
	x, err := s.Show(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "worker", x.Worker)
	require.Equal(t, "worker", x.LaneWorker)
}

func TestPauseAndResumeAreRecorded(t *testing.T) {
	s := newShop(t)
	already, err := s.Pause(t.Context(), account, "ann@till", "stocktaking")
	require.NoError(t, err)
	require.False(t, already)
	already, err = s.Pause(t.Context(), account, "bob@till", "me too")
	require.NoError(t, err)
	require.True(t, already)
	_, err = s.OpenCircuit(t.Context(), account, "denied", time.Hour)
	require.NoError(t, err)
	gates, err := s.Gates(t.Context())
	require.NoError(t, err)
	require.Equal(t, "ann@till", gates[account].PausedBy)
	require.Equal(t, "stocktaking", gates[account].PausedWhy)

	changed, err := s.Resume(t.Context(), account, "ann@till", "done")
	require.NoError(t, err)
	require.True(t, changed)
	changed, err = s.Resume(t.Context(), account, "ann@till", "done")
	require.NoError(t, err)
	require.False(t, changed)
	gates, err = s.Gates(t.Context())
	require.NoError(t, err)
	require.Equal(t, outbox.Gate{Account: account}, gates[account])
	deeds, err := s.Deeds(t.Context(), "account "+account)
	require.NoError(t, err)
	require.Len(t, deeds, 2)
	require.Equal(t, "stocktaking", deeds[0].Why)
	require.Contains(t, string(deeds[1].Before), `"cause": "denied"`)
}

func TestBacklogsCountWhatIsNotMoving(t *testing.T) {
	s := newShop(t)
	s.comesAs(outbox.Dead, points("p1"))
	s.comesAs(outbox.Dead, points("p2"))
	s.comesAs(outbox.Held, points("p3"))
	s.comesAs(outbox.Delivered, points("p4"))
	backlogs, err := s.Backlogs(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, backlogs[account][outbox.Dead].Count)
	require.EqualValues(t, 1, backlogs[account][outbox.Held].Count)
	require.WithinDuration(t, time.Now(), backlogs[account][outbox.Held].Oldest, time.Minute)
	require.Len(t, backlogs[account], 2)
}

func TestTokenTimesLeaveTheTokenOut(t *testing.T) {
	s := newShop(t)
	_, err := s.ReplaceToken(t.Context(), account, 0, func(context.Context) (string, time.Duration, error) {
		return "secret", time.Hour, nil
	})
	require.NoError(t, err)
	tokens, err := s.TokenTimes(t.Context())
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(time.Hour), tokens[account].ExpiresAt, time.Minute)
	require.NotContains(t, fmt.Sprint(tokens), "secret")
}

func (s *shop) rejects(payload string, sequence uint64) {
	s.t.Helper()
	_, err := s.Enqueue(s.t.Context(), s.token, outbox.Batch{Rejects: []outbox.Reject{{
		Subject: "sync.events.order.created", Reason: "missing_field", Field: "data.orderNo", Detail: "isn't there",
		Sequence: sequence, Headers: map[string][]string{"Nats-Msg-Id": {"7"}}, Payload: []byte(payload),
	}}})
	require.NoError(s.t, err)
}

func TestRejectsAreListedShownAndMarked(t *testing.T) {
	s := newShop(t)
	s.rejects("{\"orderNo\":\"o9\"\xff", 1)
	s.rejects("{\"orderNo\":\"o9\"\xff", 2)
	s.rejects(`{}`, 3)
	list, more, err := s.Rejects(t.Context(), outbox.RejectFilter{Mentions: "o9"}, 10)
	require.NoError(t, err)
	require.False(t, more)
	require.Len(t, list, 1)
	require.Equal(t, 2, list[0].Count)
	list, more, err = s.Rejects(t.Context(), outbox.RejectFilter{Reasons: []string{"missing_field"}}, 1)
	require.NoError(t, err)
	require.True(t, more)
	require.Len(t, list, 1)

	list, _, err = s.Rejects(t.Context(), outbox.RejectFilter{Mentions: "o9"}, 10)
	require.NoError(t, err)
	id := list[0].ID
	require.NoError(t, s.Republished(t.Context(), id, "ann@till", "the number was missing", "msg-1"))
	r, err := s.ShowReject(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "{\"orderNo\":\"o9\"\xff", string(r.Payload))
	require.Equal(t, map[string][]string{"Nats-Msg-Id": {"7"}}, r.Headers)
	require.False(t, r.RepublishedAt.IsZero())
	require.Len(t, r.Deeds, 1)
	require.Contains(t, string(r.Deeds[0].After), "msg-1")
	require.NotContains(t, string(r.Deeds[0].Before), "payload")
	list, _, err = s.Rejects(t.Context(), outbox.RejectFilter{Open: true}, 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
	_, err = s.ShowReject(t.Context(), 4711)
	require.ErrorIs(t, err, outbox.ErrNotFound)
}

func TestStatusAnswersAPublisher(t *testing.T) {
	s := newShop(t)
	ids := s.comes(create("o1"), refund("o1", "r1"), create("o2"))
	s.becomes(ids[0], outbox.Delivered)
	s.comes(create("o1"))
	p := s.comesAs(outbox.Dead, points("r1"))

	st, err := s.Status(t.Context(), outbox.Question{OrderNo: "o1"})
	require.NoError(t, err)
	require.True(t, st.Found())
	require.False(t, st.NeedsPerson())
	require.Len(t, st.Events, 2)
	require.Equal(t, 1, st.Events[0].Duplicates)
	require.Equal(t, outbox.Delivered, st.Events[0].Deliveries[0].State)
	require.Equal(t, ids[1], st.Events[1].Deliveries[0].ID)

	st, err = s.Status(t.Context(), outbox.Question{UUID: "r1"})
	require.NoError(t, err)
	require.Len(t, st.Events, 2, "a refund and points may have the same uuid")
	require.True(t, st.NeedsPerson(), "points are dead")

	for _, ce := range []string{"ce-point.decremented--r1", "ce-order.refunded-o1-r1"} {
		st, err = s.Status(t.Context(), outbox.Question{CEID: ce})
		require.NoError(t, err)
		require.Len(t, st.Events, 1)
		require.Len(t, st.Events[0].Deliveries, 1)
	}
	st, err = s.Status(t.Context(), outbox.Question{OrderNo: "o1", Tenant: "beta"})
	require.NoError(t, err)
	require.False(t, st.Found())

	s.comes(line{kind: event.OrderCreated, order: "o1", amount: "31"})
	st, err = s.Status(t.Context(), outbox.Question{OrderNo: "o1"})
	require.NoError(t, err)
	require.Len(t, st.Conflicts, 1)
	require.True(t, st.NeedsPerson())

	s.rejects(`{"orderNo":"o77"}`, 9)
	st, err = s.Status(t.Context(), outbox.Question{OrderNo: "o77"})
	require.NoError(t, err)
	require.Len(t, st.Rejects, 1)
	require.True(t, st.Found() && st.NeedsPerson())

	s.exec(`DELETE FROM outbox.events`)
	st, err = s.Status(t.Context(), outbox.Question{UUID: "r1"})
	require.NoError(t, err)
	require.Len(t, st.Events, 2, "identities outlive payloads")
	require.Equal(t, p, st.Events[1].Deliveries[0].ID+st.Events[0].Deliveries[0].ID-ids[1])
}

func TestStatusIsPreciseAboutWhatItFinds(t *testing.T) {
	s := newShop(t)
	s.comes(create("o1"), refund("o1", "r1"), refund("o1", "r2"), refund("o2", "r1"), points("o1"))
	kinds := func(st outbox.Status) (kinds []string) {
		for _, e := range st.Events {
			kinds = append(kinds, string(e.Type)+" "+e.OrderNo+" "+e.UUID)
		}
		return kinds
	}
	for name, tt := range map[string]struct {
		q    outbox.Question
		want []string
	}{
		"order":                  {outbox.Question{OrderNo: "o1"}, []string{"order.created o1 ", "order.refunded o1 r1", "order.refunded o1 r2"}},
		"uuid":                   {outbox.Question{UUID: "r1"}, []string{"order.refunded o1 r1", "order.refunded o2 r1"}},
		"uuid like a number":     {outbox.Question{UUID: "o1"}, []string{"point.decremented  o1"}},
		"the refund of an order": {outbox.Question{OrderNo: "o1", UUID: "r1"}, []string{"order.refunded o1 r1"}},
		"no such refund":         {outbox.Question{OrderNo: "o2", UUID: "r2"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			st, err := s.Status(t.Context(), tt.q)
			require.NoError(t, err)
			require.Equal(t, tt.want, kinds(st))
			require.Equal(t, tt.q, st.Asked)
		})
	}
}

func TestStatusFindsTheRejectsThatAreIt(t *testing.T) {
	s := newShop(t)
	for i, payload := range []string{
		`{"id":"e1","data":{"orderNo":"o1","uuid":"u1","remark":"o2"}}`, // a well-formed one
		`{"id":"e2","data":{"dealLines":[{"id":"e1","uuid":"u1","orderNo":"o2"}],"orderno":"o3","orderNo":77}}`,
		`{"orderNo":"o4","uuid":"u4"}`,                                 // without its envelope
		`{"id":"e5","data":{"orderNo":"o5",`,                           // broken off
		"{\"id\":\"e6\",\"x\":\"\xff\",\"data\":{\"orderNo\":\"o6\"}}", // not UTF-8
		`["o1","e1","u1"]`,
	} {
		s.rejects(payload, uint64(i+1))
	}
	for name, tt := range map[string]struct {
		q    outbox.Question
		want []int64
	}{
		"order":              {outbox.Question{OrderNo: "o1"}, []int64{1}},
		"a remark":           {outbox.Question{OrderNo: "o2"}, nil},
		"a variant of a key": {outbox.Question{OrderNo: "o3"}, []int64{2}},
		"a bare number":      {outbox.Question{OrderNo: "77"}, []int64{2}},
		"no envelope":        {outbox.Question{OrderNo: "o4", UUID: "u4"}, []int64{3}},
		"broken off":         {outbox.Question{OrderNo: "o5"}, []int64{4}},
		"not UTF-8":          {outbox.Question{OrderNo: "o6"}, []int64{5}},
		"id":                 {outbox.Question{CEID: "e1"}, []int64{1}},
		"uuid":               {outbox.Question{UUID: "u1"}, []int64{1}},
		"both":               {outbox.Question{OrderNo: "o1", UUID: "u2"}, nil},
		"another header":     {outbox.Question{CEID: "7"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			st, err := s.Status(t.Context(), tt.q)
			require.NoError(t, err)
			var ids []int64
			for _, r := range st.Rejects {
				ids = append(ids, r.ID)
			}
			require.Equal(t, tt.want, ids)
		})
	}
	require.NoError(t, s.Republished(t.Context(), 1, "ann@till", "corrected", "msg-1"))
	st, err := s.Status(t.Context(), outbox.Question{OrderNo: "o1"})
	require.NoError(t, err)
	require.Len(t, st.Rejects, 1, "it led to no event of this order")
	require.False(t, st.NeedsPerson())
	s.comes(create("o1"))
	st, err = s.Status(t.Context(), outbox.Question{OrderNo: "o1"})
	require.NoError(t, err)
	require.Len(t, st.Events, 1)
	require.Empty(t, st.Rejects, "what came of it is there")
}

func TestWhatIsToBeCalledSaysWhyItsAccountIsNot(t *testing.T) {
	s := newShop(t)
	pending, dead := s.comes(create("o1"))[0], s.comesAs(outbox.Dead, points("p1"))
	unknown := s.comesAs(outbox.Unknown, points("p2"))
	elsewhere := s.comesTo([]string{"second"}, nil, create("o2"))[0]
	stop := func(id int64) *outbox.Stop {
		x, err := s.Show(t.Context(), id)
		require.NoError(t, err)
		return x.Stopped
	}
	require.Nil(t, stop(pending))
	require.NoError(t, s.Throttle(t.Context(), account, -time.Minute))
	require.Nil(t, stop(pending), "its time is over")

	require.NoError(t, s.Throttle(t.Context(), account, time.Minute))
	require.Regexp(t, `^account throttled until \d\d:\d\d:\d\dZ$`, stop(pending).String())
	gate, err := s.OpenCircuit(t.Context(), account, "denied", time.Minute)
	require.NoError(t, err)
	require.Regexp(t, `^account's circuit is open: denied, opened 1 times, next probe \d\d:\d\d:\d\dZ$`, stop(pending).String())
	require.Equal(t, gate.OpenUntil, stop(pending).Until)
	_, err = s.Pause(t.Context(), account, "ann@till", "stocktaking")
	require.NoError(t, err)
	require.Regexp(t, `^account paused since 20\S+ \d\d:\d\dZ by ann@till: stocktaking$`, stop(pending).String())
	require.Zero(t, stop(pending).Until)

	require.NotNil(t, stop(unknown), "it isn't read back either")
	require.Nil(t, stop(dead), "it wouldn't be called anyway")
	require.Nil(t, stop(elsewhere))
	st, err := s.Status(t.Context(), outbox.Question{OrderNo: "o1"})
	require.NoError(t, err)
	require.Equal(t, stop(pending), st.Events[0].Deliveries[0].Stopped)
}

func TestMembersAreMasked(t *testing.T) {
	for member, want := range map[string]string{
		"":                      "",
		"id:16508":              "id:16508",
		"mobile:13800001234":    "mobile:138****1234",
		"mobile:+8613800001234": "mobile:+86****1234",
		"wechat:oAbCd":          "wechat:o****",
		"name:王小明":              "name:王****",
		"wechat:":               "wechat:",
		"13800001234":           "138****1234",
	} {
		require.Equal(t, want, outbox.MaskMember(member), member)
	}
}

func TestAMaskedDeliveryNamesNobody(t *testing.T) {
	l := outbox.Listed{Member: "mobile:13800001234", VendorMessage: "会员13800001234不存在, id 1380000123456, 手机号:13900005678"}
	l.Mask()
	require.Equal(t, "mobile:138****1234", l.Member)
	require.Equal(t, "会员138****1234不存在, id 1380000123456, 手机号:139****5678", l.VendorMessage)
}

func TestDifferencesAreFieldByField(t *testing.T) {
	first := `{"a":1,"same":1.0,"big":902384756102938475,"l":[{"q":1},{"q":2}],"gone":"x","e":{},"n":null}`
	second := `{"a":"1","same":1e0,"big":902384756102938476,"l":[{"q":1},{"q":3}],"e":[],"n":null,"<":true}`
	got, err := outbox.Differences(json.RawMessage(first), json.RawMessage(second))
	require.NoError(t, err)
	require.Equal(t, []outbox.Difference{
		{Field: "<", Second: "true"},
		{Field: "a", First: "1", Second: `"1"`},
		{Field: "big", First: "902384756102938475", Second: "902384756102938476"},
		{Field: "e", First: "{}", Second: "[]"},
		{Field: "gone", First: `"x"`},
		{Field: "l[1].q", First: "2", Second: "3"},
	}, got)
	_, err = outbox.Differences(json.RawMessage(`{`), json.RawMessage(second))
	require.ErrorContains(t, err, "first content")
}

func TestADeliveryIsLookedAtWithoutBeingTaken(t *testing.T) {
	s := newShop(t)
	id := s.comesAs(outbox.Held, line{kind: event.PointDecremented, uuid: "p1", member: "13900005678"})
	s.exec(`UPDATE outbox.lanes SET member = '16508'`)
	w, member, err := s.Look(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, []any{id, outbox.Held, "p1", "p1", "16508"}, []any{w.ID, w.State, w.VendorKey, w.Event.UUID, member})
	require.Equal(t, "13900005678", w.Event.Member.Identities[0].Value)

	s.exec(`DELETE FROM outbox.events`)
	_, _, err = s.Look(t.Context(), id)
	require.ErrorIs(t, err, outbox.ErrNotFound)
}

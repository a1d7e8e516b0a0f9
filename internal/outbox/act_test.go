package outbox_test

import (
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

func points(uuid string) line { return line{kind: event.PointDecremented, uuid: uuid} }

func create(order string) line { return line{kind: event.OrderCreated, order: order} }

func refund(order, uuid string) line {
	return line{kind: event.OrderRefunded, order: order, uuid: uuid, amount: "12.50", minute: 5}
}

func TestReplaySendsWhatIsDeadOnceMore(t *testing.T) {
	s := newShop(t)
	id := s.comesAs(outbox.Dead, points("p1"), func(d *outbox.Delivery) { d.Attempts, d.KeyUsed = 7, true })
	require.Equal(t, []int64{id}, s.acts(outbox.Replay, id).Changed)

	row := s.row(id)
	require.Equal(t, "pending", row["state"])
	require.Equal(t, "", row["reason"])
	require.Nil(t, row["owner"])
	require.EqualValues(t, 0, row["attempts"])
	require.Equal(t, true, row["key_used"], "a call with this key has been made")
	require.NotNil(t, row["next_attempt_at"])
	require.NotNil(t, s.lane(id)["next_at"], "its lane is due")
	require.Len(t, s.claims(id).Work, 1, "a worker gets it")
}

func TestReplayOfACreateOpensItsOrderAgain(t *testing.T) {
	s := newShop(t)
	id := s.comesAs(outbox.Dead, create("o1"))
	require.Equal(t, "dead", s.lane(id)["created"])
	s.acts(outbox.Replay, id)
	require.Equal(t, "", s.lane(id)["created"])
}

func TestReplayTakesOnlyWhatIsDeadAndWasNeverUnclear(t *testing.T) {
	s := newShop(t)
	replay := decides(outbox.Replay)
	for _, tt := range []struct {
		id  int64
		why string
	}{
		{s.comesAs(outbox.Delivered, points("p1")), "nothing to do"},
		{s.comesAs(outbox.Pending, points("p2")), "wait"},
		{s.comesAs(outbox.Waiting, points("p3")), "deliveries show"},
		{s.comesAs(outbox.Unknown, points("p4")), "is being found out: syncworker deliveries show"},
		{s.comesAs(outbox.Held, points("p5")), "held (because) and needs a decision: syncworker deliveries resolve"},
		{s.comesAs(outbox.Dead, points("p6"), ever), "--send-again"},
	} {
		require.Contains(t, s.refused(replay, tt.id), tt.why)
	}
	id := s.comesAs(outbox.Dead, points("p7"))
	replay.Accounts = []string{"another"}
	require.Contains(t, s.refused(replay, id), `no account "dmhub"`)
	s.acts(outbox.Cancel, id)
	require.Contains(t, s.refused(decides(outbox.Replay), id), "publish a new event")
	require.Zero(t, one[int](s, `SELECT count(*) FROM outbox.audit WHERE action <> 'cancel'`))

	acted, err := s.Act(t.Context(), replay, 4711)
	require.NoError(t, err)
	require.Contains(t, acted.Refused, "isn't there")
}

func TestACallUnderWayIsLeftAlone(t *testing.T) {
	s := newShop(t)
	id := s.comes(points("p1"))[0]
	s.claims(id)
	s.commits(outbox.Commit{Intents: []*outbox.Intent{{ID: id, SentAt: opening}}})
	for _, action := range []outbox.Action{outbox.Replay, outbox.Cancel, outbox.Applied, outbox.NotApplied, outbox.SendAgain} {
		require.Contains(t, s.refused(decides(action), id), "under way")
	}
}

func TestAnIntentThatIsBeingCommittedWinsOverACancel(t *testing.T) {
	s := newShop(t)
	id := s.comesTo([]string{account}, []string{account}, points("p1"))[0]
	tx, err := s.conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `UPDATE outbox.deliveries SET state = 'inflight', calls = 1, first_sent_at = now() WHERE id = $1`, id)
	require.NoError(t, err)
	acting := make(chan outbox.Acted, 1)
	go func() {
		acted, _ := s.Act(t.Context(), decides(outbox.Cancel), id)
		acting <- acted
	}()
	watch, err := pgx.ConnectConfig(t.Context(), s.conn.Config())
	require.NoError(t, err)
	defer watch.Close(t.Context()) //nolint:errcheck // the test is over
	require.Eventually(t, func() bool {
		const tried = `SELECT xact_rollback > 2 OR EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock')
			FROM pg_stat_database WHERE datname = current_database()`
		var done bool
		return watch.QueryRow(t.Context(), tried).Scan(&done) == nil && done
	}, 10*time.Second, 10*time.Millisecond, "the cancel meets the worker's lock")
	require.NoError(t, tx.Commit(t.Context()))
	require.Contains(t, (<-acting).Refused, "under way")
	require.Equal(t, "inflight", s.row(id)["state"])
}

func TestCancelOfWhatAWorkerHoldsMakesItDropIt(t *testing.T) {
	s := newShop(t)
	id := s.comesTo([]string{account}, []string{account}, points("p1"))[0]
	require.EqualValues(t, s.token, s.row(id)["owner"])
	s.acts(outbox.Cancel, id)

	row := s.row(id)
	require.Equal(t, "cancelled", row["state"])
	require.Equal(t, outbox.ReasonCancelledByPerson, row["reason"])
	require.EqualValues(t, 0, row["owner"])
	require.Nil(t, row["next_attempt_at"])
	require.Equal(t, true, s.lane(id)["news"], "the worker that has the lane looks again")
	gone := s.commits(outbox.Commit{Intents: []*outbox.Intent{{ID: id, SentAt: opening}}})
	require.Equal(t, []int64{id}, gone)
	require.Equal(t, "cancelled", s.row(id)["state"])
}

func TestCancelTakesWhatWasNotSent(t *testing.T) {
	s := newShop(t)
	for _, state := range []outbox.State{outbox.Pending, outbox.Waiting, outbox.Held, outbox.Dead} {
		id := s.comesAs(state, points("p-"+string(state)))
		s.acts(outbox.Cancel, id)
		require.Equal(t, "cancelled", s.row(id)["state"])
		require.Contains(t, s.refused(decides(outbox.Cancel), id), "cancelled already")
	}
	require.Contains(t, s.refused(decides(outbox.Cancel), s.comesAs(outbox.Delivered, points("d"))), "nothing to do")
	require.Contains(t, s.refused(decides(outbox.Cancel), s.comesAs(outbox.Unknown, points("u"))), "deliveries show")
	repeating := s.comesAs(outbox.Pending, points("r"), ever, func(d *outbox.Delivery) { d.Ambiguous, d.Reason = true, "no_answer" })
	require.Contains(t, s.refused(decides(outbox.Cancel), repeating), "isn't known")
}

func TestCancelOfACreateTakesAlongWhatWaitsBehindIt(t *testing.T) {
	s := newShop(t)
	ids := s.comes(create("o1"), refund("o1", "r1"), refund("o1", "r2"), refund("o2", "r1"))
	s.becomes(ids[1], outbox.Waiting)
	s.becomes(ids[2], outbox.Held)
	other := s.comes(line{kind: event.OrderRefunded, order: "o1", uuid: "r1", tenant: "beta"})[0]
	s.exec(`UPDATE outbox.deliveries SET state = 'waiting' WHERE id = $1`, other)

	plan, err := s.Plan(t.Context(), decides(outbox.Cancel), outbox.Filter{IDs: ids[:1]}, 0)
	require.NoError(t, err)
	require.Equal(t, ids[:1], plan.IDs)
	require.Equal(t, []outbox.PlanLine{{ID: ids[1], Type: event.OrderRefunded, State: outbox.Waiting, Account: account, OrderNo: "o1"}}, plan.Behind)

	require.Equal(t, ids[:2], s.acts(outbox.Cancel, ids[0]).Changed)
	require.Equal(t, "cancelled", s.lane(ids[0])["created"])
	require.Equal(t, "cancelled", s.row(ids[1])["state"])
	require.Equal(t, outbox.ReasonPredecessorCancelled, s.row(ids[1])["reason"])
	require.Equal(t, "held", s.row(ids[2])["state"], "it has a question of its own")
	require.Equal(t, "pending", s.row(ids[3])["state"], "another order")
	require.Equal(t, "waiting", s.row(other)["state"], "another tenant")
	deeds, err := s.Deeds(t.Context(), "delivery "+itoa(ids[1]))
	require.NoError(t, err)
	require.Len(t, deeds, 1)
	require.Contains(t, deeds[0].Why, "with the order's create, delivery "+itoa(ids[0]))
}

func TestAKeyThatAnotherTenantHasStaysTakenWhateverIsDecided(t *testing.T) {
	s := newShop(t)
	s.comes(create("o1"), line{kind: event.PointIncremented, uuid: "p1"})
	for _, second := range []line{
		{kind: event.OrderCreated, order: "o1", tenant: "beta"},
		{kind: event.PointIncremented, uuid: "p1", tenant: "beta"},
	} {
		id := s.comes(second)[0]
		require.Equal(t, []int64{id}, s.acts(outbox.NotApplied, id).Changed)
		require.Contains(t, s.refused(decides(outbox.Replay), id), "another tenant")
	}
}

func TestAnotherTenantsCreateDecidesNothingForTheOrder(t *testing.T) {
	s := newShop(t)
	first := s.comes(create("o1"), refund("o1", "r1"))
	other := s.comes(line{kind: event.OrderCreated, order: "o1", tenant: "beta"})[0]
	require.Equal(t, outbox.ReasonVendorKey, s.row(other)["reason"])
	require.Contains(t, s.refused(decides(outbox.SendAgain), other), "another tenant")
	require.Equal(t, []int64{other}, s.acts(outbox.Cancel, other).Changed)
	require.Equal(t, "", s.lane(first[0])["created"])
	require.Equal(t, "pending", s.row(first[1])["state"])
}

func TestAppliedIsDeliveredOnAPersonsWord(t *testing.T) {
	s := newShop(t)
	id := s.comesAs(outbox.Held, line{kind: event.PointIncremented, uuid: "p1", points: 8}, ever,
		func(d *outbox.Delivery) { d.Ambiguous = true })
	dec := decides(outbox.Applied)
	dec.VendorRef = "detail-5"
	acted, err := s.Act(t.Context(), dec, id)
	require.NoError(t, err)
	require.Empty(t, acted.Refused)

	row := s.row(id)
	require.Equal(t, "delivered", row["state"])
	require.Equal(t, false, row["ambiguous"])
	require.Equal(t, true, row["ever_ambiguous"])
	require.NotNil(t, row["delivered_at"])
	require.Equal(t, "detail-5", row["vendor_ref"])
	require.EqualValues(t, 8, row["points_applied"])
	require.EqualValues(t, 0, row["owner"])

	deeds, err := s.Deeds(t.Context(), "delivery "+itoa(id))
	require.NoError(t, err)
	require.Len(t, deeds, 1)
	require.Equal(t, "ann@till", deeds[0].Actor)
	require.Equal(t, "applied", deeds[0].Action)
	require.Equal(t, "the shop asked", deeds[0].Why)
	require.Contains(t, string(deeds[0].Before), `"state": "held"`)
	require.Contains(t, string(deeds[0].After), `"state": "delivered"`)
	require.Contains(t, string(deeds[0].After), `"evidence": "seen in the console"`)
}

func TestAppliedWantsToKnowHowManyPointsWereTaken(t *testing.T) {
	s := newShop(t)
	exact := s.comesAs(outbox.Held, points("p1"))
	toZero := s.comesAs(outbox.Held, line{kind: event.PointDecremented, data: `{"uuid":"p2","point":8,"pattern":0,"decrToZero":true,"membershipId":7}`})
	order := s.comesAs(outbox.Held, create("o1"))
	require.Contains(t, s.refused(decides(outbox.Applied), toZero), "say with --points-applied how many of 8")
	said := func(n int64) outbox.Decision {
		dec := decides(outbox.Applied)
		dec.PointsApplied = &n
		return dec
	}
	require.Contains(t, s.refused(said(9), toZero), "9 can't be")
	require.Contains(t, s.refused(said(3), exact), "3 can't be")
	require.Contains(t, s.refused(said(8), order), "has no points")
	acted, err := s.Act(t.Context(), said(3), toZero)
	require.NoError(t, err)
	require.Empty(t, acted.Refused)
	require.EqualValues(t, 3, s.row(toZero)["points_applied"])
	s.acts(outbox.Applied, order)
	require.Nil(t, s.row(order)["points_applied"])
}

// A worker locks deliveries and then lanes; a person the lane and then the
// delivery. Neither may wait for the other for good, and each delivery ends with
// one of the two.
func TestACancelRacesWithAnIntent(t *testing.T) {
	s := newShop(t)
	var lines []line
	for i := range 30 {
		lines = append(lines, line{kind: event.PointIncremented, uuid: itoa(int64(i)), member: "1380000" + itoa(int64(1000+i))})
	}
	ids := s.comesTo([]string{account}, []string{account}, lines...)
	rows, err := s.conn.Query(t.Context(), `SELECT lane, epoch FROM outbox.lanes`)
	require.NoError(t, err)
	var updates []*outbox.LaneUpdate
	var lane outbox.Lane
	var epoch int
	_, err = pgx.ForEachRow(rows, []any{&lane, &epoch}, func() error {
		updates = append(updates, &outbox.LaneUpdate{Lane: lane, Epoch: epoch, Member: "7"})
		return nil
	})
	require.NoError(t, err)

	acted := make([]outbox.Acted, len(ids))
	var group errgroup.Group
	group.SetLimit(3)
	for i, id := range ids {
		group.Go(func() (err error) {
			acted[i], err = s.Act(t.Context(), decides(outbox.Cancel), id)
			return err
		})
	}
	var intents []*outbox.Intent
	for _, id := range ids {
		intents = append(intents, &outbox.Intent{ID: id, SentAt: opening})
	}
	gone := s.commits(outbox.Commit{Intents: intents, Lanes: updates})
	require.NoError(t, group.Wait())
	for i, id := range ids {
		cancelled := acted[i].Refused == ""
		require.Equal(t, cancelled, slices.Contains(gone, id))
		require.Equal(t, map[bool]string{true: "cancelled", false: "inflight"}[cancelled], s.row(id)["state"])
	}
}

func TestAppliedLetsTheOrderGoOn(t *testing.T) {
	s := newShop(t)
	ids := s.comes(create("o1"), refund("o1", "r1"))
	s.becomes(ids[0], outbox.Held)
	s.becomes(ids[1], outbox.Waiting)
	s.acts(outbox.Applied, ids[0])
	require.Equal(t, "delivered", s.lane(ids[0])["created"])
	require.NotNil(t, s.lane(ids[0])["next_at"], "what waits is looked at again")
	s.becomes(ids[1], outbox.Held)
	s.acts(outbox.Applied, ids[1])
	require.EqualValues(t, 1, s.lane(ids[1])["open_refunds"])
}

func TestNotAppliedIsDead(t *testing.T) {
	s := newShop(t)
	id := s.comesAs(outbox.Held, create("o1"), ever, func(d *outbox.Delivery) { d.Ambiguous = true })
	s.acts(outbox.NotApplied, id)
	row := s.row(id)
	require.Equal(t, "dead", row["state"])
	require.Equal(t, outbox.ReasonNotAppliedByPerson, row["reason"])
	require.Equal(t, false, row["ambiguous"])
	require.Equal(t, "dead", s.lane(id)["created"])
	require.Contains(t, s.refused(decides(outbox.Replay), id), "--send-again")
	s.acts(outbox.SendAgain, id)
	require.Equal(t, "pending", s.row(id)["state"])
	require.Equal(t, "", s.lane(id)["created"])
}

func TestSendAgainStartsAnew(t *testing.T) {
	s := newShop(t)
	id := s.comesAs(outbox.Held, points("p1"), ever, func(d *outbox.Delivery) {
		d.Ambiguous, d.KeyUsed, d.Attempts, d.FirstSentAt, d.QuietUntil = true, true, 3, opening, opening.Add(time.Hour)
	})
	s.acts(outbox.SendAgain, id)
	row := s.row(id)
	require.Equal(t, "pending", row["state"])
	require.Equal(t, outbox.ReasonSentByPerson, row["reason"])
	require.Nil(t, row["owner"])
	require.Nil(t, row["first_sent_at"])
	require.Nil(t, row["quiet_until"])
	require.Equal(t, false, row["ambiguous"])
	require.Equal(t, true, row["ever_ambiguous"])
	require.Equal(t, true, row["key_used"])
	require.EqualValues(t, 0, row["attempts"])
	require.Len(t, s.claims(id).Work, 1)
}

func TestResolveTakesOnlyWhatNeedsADecision(t *testing.T) {
	s := newShop(t)
	delivered, waiting := s.comesAs(outbox.Delivered, points("p1")), s.comesAs(outbox.Waiting, points("p2"))
	unknown, dead := s.comesAs(outbox.Unknown, points("p3")), s.comesAs(outbox.Dead, points("p4"))
	for _, action := range []outbox.Action{outbox.Applied, outbox.NotApplied, outbox.SendAgain} {
		require.Contains(t, s.refused(decides(action), delivered), "nothing to do")
		require.Contains(t, s.refused(decides(action), waiting), "waits")
		require.Contains(t, s.refused(decides(action), unknown), "found out")
		require.Contains(t, s.refused(decides(action), dead), "deliveries replay")
	}
	missing := s.comesAs(outbox.Held, points("p5"), held(outbox.ReasonAccountMissing))
	dec := decides(outbox.SendAgain)
	dec.Accounts = nil
	require.Contains(t, s.refused(dec, missing), `no account "dmhub"`)
	s.acts(outbox.SendAgain, missing)
}

func TestAHeldDeliveryInAWorkersHandsIsWaitedFor(t *testing.T) {
	s := newShop(t)
	id := s.comesAs(outbox.Held, create("o1"))
	lane := s.claims(id)
	acting := make(chan outbox.Acted)
	go func() {
		acted, _ := s.Act(t.Context(), decides(outbox.SendAgain), id)
		acting <- acted
	}()
	require.Eventually(t, func() bool {
		select {
		case acted := <-acting:
			t.Errorf("it was acted on while the worker had it: %+v", acted)
			return true
		default:
			return one[int](s, `SELECT count(*) FROM pg_stat_database WHERE datname = current_database() AND xact_rollback > 2`) > 0
		}
	}, 10*time.Second, 10*time.Millisecond)
	x := &outbox.Settle{Delivery: lane.Work[0].Delivery, WasCalls: lane.Work[0].Calls, Rest: true}
	s.commits(outbox.Commit{
		Settles: []*outbox.Settle{x},
		Lanes:   []*outbox.LaneUpdate{{Lane: lane.Lane, Epoch: lane.Epoch, Release: true, PutDown: true}},
	})
	require.Equal(t, []int64{id}, (<-acting).Changed)
	require.Equal(t, "pending", s.row(id)["state"])
}

func TestAnUnroutedEventIsSentWhereTheRoutesNowSay(t *testing.T) {
	s := newShop(t)
	order := s.comesTo(nil, nil, create("o1"))[0]
	point := s.comesTo(nil, nil, points("p1"))[0]
	require.Equal(t, outbox.ReasonUnrouted, s.row(order)["reason"])
	require.Contains(t, s.refused(decides(outbox.SendAgain), order), "no route takes order.created of tenant default")

	dec := decides(outbox.SendAgain)
	dec.Route = func(event.Type, string) []string { return []string{account, "second"} }
	for _, id := range []int64{order, point} {
		acted, err := s.Act(t.Context(), dec, id)
		require.NoError(t, err)
		require.Empty(t, acted.Refused)
		require.Len(t, acted.Changed, 3)
		require.Equal(t, "cancelled", s.row(id)["state"])
		require.Equal(t, outbox.ReasonRouted, s.row(id)["reason"])
		routed := s.row(acted.Changed[1])
		require.Equal(t, "pending", routed["state"])
		require.Equal(t, account, routed["account"])
		require.Equal(t, s.row(id)["received_at"], routed["received_at"])
		require.Equal(t, id == point, routed["vendor_key"] == "p1")
		work := s.claims(acted.Changed[1]).Work
		require.Len(t, work, 1, "a worker gets it with its event")
		require.NotEmpty(t, work[0].Event.Data)
	}
}

func TestPlanSumsUpAndNamesWhatIsRefused(t *testing.T) {
	s := newShop(t)
	dead := []int64{
		s.comesAs(outbox.Dead, line{kind: event.OrderCreated, order: "o1", amount: "99999999999999.01"}),
		s.comesAs(outbox.Dead, line{kind: event.OrderCreated, order: "o2", amount: "0.10"}),
		s.comesAs(outbox.Dead, line{kind: event.PointIncremented, uuid: "p1", points: 5}),
		s.comesAs(outbox.Dead, line{kind: event.PointDecremented, uuid: "p2", points: 7}),
	}
	unclear := s.comesAs(outbox.Dead, points("p3"), ever)
	s.comesAs(outbox.Delivered, points("p4"))

	plan, err := s.Plan(t.Context(), decides(outbox.Replay), outbox.Filter{States: []outbox.State{outbox.Dead}}, 0)
	require.NoError(t, err)
	require.Equal(t, dead, plan.IDs)
	require.Equal(t, "99999999999999.11", plan.Total.AmountPaid.String())
	require.EqualValues(t, 5, plan.Total.PointsIn)
	require.EqualValues(t, 7, plan.Total.PointsOut)
	require.Equal(t, 4, plan.Total.Count)
	require.Len(t, plan.Groups, 3)
	require.Equal(t, 2, plan.Groups[0].Count)
	require.Len(t, plan.Refused, 1)
	require.Equal(t, unclear, plan.Refused[0].ID)
	require.Contains(t, plan.Refused[0].Why, "--send-again")

	plan, err = s.Plan(t.Context(), decides(outbox.Replay), outbox.Filter{States: []outbox.State{outbox.Dead}}, 2)
	require.NoError(t, err)
	require.Equal(t, dead[:2], plan.IDs)
	plan, err = s.Plan(t.Context(), decides(outbox.SendAgain), outbox.Filter{IDs: []int64{unclear, 4711}}, 0)
	require.NoError(t, err)
	require.Equal(t, []int64{unclear}, plan.MayExist)
	require.Contains(t, plan.Refused[0].Why, "isn't there")
}

package main

// mutants are the ways to break the program, each with the text that it replaces.
// A mutant that doesn't fit the program any more is an error, and not a success.
var mutants = []mutant{
	{
		name: "acknowledge before the commit",
		edits: []edit{{
			"internal/consumer/consumer.go",
			"	out, err := c.commit(ctx, batch)\n	if err != nil {\n		for _, m",
			"	for _, m := range messages {\n		_ = m.Ack()\n	}\n	out, err := c.commit(ctx, batch)\n	if err != nil {\n		for _, m",
		}},
		pkg: "./test/killmatrix", tests: "TestKillMatrix/cells/inbox_committing/kill/dmhub/point.incremented",
	},
	{
		name: "no intent before the call",
		edits: []edit{
			{"internal/dispatch/call.go", "	got := <-answers\n", "	var got answer\n"},
			{"internal/dispatch/hand.go", "b.Intend = chosen.intend", "_ = chosen.intend"},
		},
		pkg: "./test/killmatrix", tests: "TestKillMatrix/cells/sent/kill/dmhub/order.refunded",
	},
	{
		name: "a call at once, and no intent with the event",
		edits: []edit{{
			"internal/outbox/lanes.go", "			r.state, sentAt[i] = Inflight, &r.handed.SentAt\n", "			sentAt[i] = nil\n",
		}},
		pkg: "./test/killmatrix", tests: "TestKillMatrix/cells/sent/kill/dmhub/order.refunded",
	},
	{
		name: "no fencing",
		edits: []edit{
			{
				"internal/outbox/commit.go", "SELECT 1 / count(*)::int FROM counted", "SELECT count(*)::int FROM counted",
			},
			{
				"internal/outbox/settle.go", "	WHERE d.id = u.id AND d.owner = $1 AND d.calls = u.was_calls\n",
				"	WHERE d.id = u.id AND $1::bigint > 0 AND d.calls = u.was_calls\n",
			},
			{"internal/outbox/settle.go", "WHERE l.lane = u.lane AND l.owner = $1 AND l.epoch = u.epoch", "WHERE l.lane = u.lane AND $1::bigint > 0"},
		},
		pkg: "./internal/outbox", tests: "TestAWorkerThatLostItsLeaseCanNotWrite",
	},
	{
		name:  "a new uuid for each repeat",
		edits: []edit{{"internal/dispatch/call.go", "Key: w.VendorKey,", "Key: vendors.FurtherKey(w.VendorKey, w.ID, w.Calls),"}},
		pkg:   "./test/killmatrix", tests: "TestKillMatrix/cells/sent/kill/dmhub/point.incremented",
	},
	{
		name: "a refund is repeated",
		edits: []edit{{
			"internal/vendors/dmhub/writes.go", "Blocks: true},\n		settings: refundSettings,",
			"Blocks: true, Repeat: vendors.RepeatAlways},\n		settings: refundSettings,",
		}},
		pkg: "./test/killmatrix", tests: "TestKillMatrix/cells/sent/kill/dmhub/order.refunded",
	},
	{
		name: "the stream's sequence as identity",
		edits: []edit{{
			"internal/outbox/enqueue.go", "identity: in.Event.Identity()}",
			"identity: event.Identity{Tenant: in.Event.Tenant, UUID: fmt.Sprint(in.Sequence)}}",
		}},
		pkg: "./internal/outbox", tests: "TestADuplicateIsCountedInAndAcrossBatches",
	},
	{
		name: "no tenant in the identity",
		edits: []edit{{
			"internal/outbox/enqueue.go", "		arrivals[i] = arrival{Incoming: in, identity: in.Event.Identity()}\n",
			"		arrivals[i] = arrival{Incoming: in, identity: in.Event.Identity()}\n		arrivals[i].identity.Tenant = \"default\"\n",
		}},
		pkg: "./internal/outbox", tests: "TestTenantsThatShareAnAccountDoNotShareItsVendorKeys",
	},
	{
		name: "redirects are followed",
		edits: []edit{{
			"internal/vendors/transport.go", "	x.StartedAt, x.Duration = start, time.Since(start)\n",
			`	if to, bad := url.Parse(x.Header.Get("Location")); bad == nil && x.Status/100 == 3 {
		next := Request{Method: http.MethodGet, Path: to.EscapedPath(), Query: to.Query()}
		if x.Status >= 307 {
			next.Method, next.Body = req.Method, req.Body
		}
		return t.Do(ctx, next)
	}
	x.StartedAt, x.Duration = start, time.Since(start)
`,
		}},
		pkg: "./internal/vendors/dmhub", tests: "TestConformance|TestNoFaultMakesAClassLie",
	},
	{
		name: "HTTP 200 is trusted",
		edits: []edit{{
			"internal/vendors/dmhub/reply.go", "	switch {\n	case rep.kind == apiError && refusal(rep.code):\n",
			"	switch {\n	case status == http.StatusOK:\n		return vendors.Applied\n	case rep.kind == apiError && refusal(rep.code):\n",
		}},
		pkg: "./internal/vendors/dmhub", tests: "TestConformance",
	},
	{
		name: "a dead create lets its refund through",
		edits: []edit{{
			"internal/dispatch/plan.go", "	case p.Created == string(outbox.Dead):\n",
			"	case p.Created == string(outbox.Dead):\n		return d, true\n	case p.Created == string(outbox.Dead):\n",
		}},
		pkg: "./internal/dispatch", tests: "TestWhatAnOrderDoesNext",
	},
	{
		name: "the uuid's window is ignored",
		edits: []edit{{
			"internal/dispatch/policy.go", "		return !d.FirstSentAt.IsZero() && at.Before(d.FirstSentAt.Add(op.Window))\n", "		return true\n",
		}},
		pkg: "./internal/dispatch", tests: "TestWhenAWriteMayBeRepeated|TestARepeatThatCameTooLateIsNotSent",
	},
	{
		name: "everything unclear is held",
		edits: []edit{{
			"internal/dispatch/decide.go", "	d.QuietUntil = s.Now.Add(s.Policy.QuietPeriod)\n	if !s.Outage {\n",
			"	d.QuietUntil = s.Now.Add(s.Policy.QuietPeriod)\n	if true {\n		return s.hold(d, Unclear)\n	}\n	if !s.Outage {\n",
		}},
		pkg: "./test/killmatrix", tests: "TestKillMatrix/cells/sent/error/dmhub/point.incremented",
	},
	{
		name: "what sets a state is repeated at once",
		edits: []edit{{
			"internal/dispatch/plan.go", "op.Repeat == vendors.RepeatAlways && p.now.Before(p.quiet(d)):", "false && p.now.Before(p.quiet(d)):",
		}},
		pkg: "./internal/dispatch", tests: "TestWhatAnOrderDoesNext",
	},
	{
		name: "absence is believed before the quiet period is over",
		edits: []edit{{
			"internal/dispatch/decide.go", "	return asked.Before(d.QuietUntil)\n", "	return false\n",
		}},
		pkg: "./internal/dispatch", tests: "TestOnlyAReadThatBeganAfterTheQuietPeriodProvesAbsence",
	},
	{
		name:  "a database that went back in time is believed",
		edits: []edit{{"internal/outbox/loss.go", "	var l Loss\n", "	var l Loss\n	return l\n"}},
		pkg:   "./cmd/syncworker", tests: "TestWhatWasSentInALostTimeIsReadNotRepeated",
	},
	{
		name: "a lane is let go with what another worker added",
		edits: []edit{{
			"internal/outbox/settle.go", "const laneIsFree = `u.release AND l.handed = u.met AND NOT l.news`", "const laneIsFree = `u.release AND l.handed = u.met`",
		}},
		pkg: "./internal/outbox", tests: "TestALaneIsNotLetGoWhileAnotherWorkerHasAddedToIt",
	},
	{
		name: "what a reload took isn't counted",
		edits: []edit{{
			"internal/outbox/claim.go", "lanes[i], counts[i] = l.Lane, int32(len(l.Work))", "lanes[i], counts[i] = l.Lane, 0",
		}},
		pkg: "./internal/outbox", tests: "TestALaneIsNotLetGoBeforeItsOwnerHasMetWhatAReloadTook",
	},
	{
		name: "recovery wakes its own lanes only",
		edits: []edit{{
			"internal/outbox/workers.go", "WHERE lane = ANY($2) ORDER BY lane FOR UPDATE)", "WHERE lane = ANY($2) AND owner = $1 ORDER BY lane FOR UPDATE)",
		}},
		pkg: "./internal/outbox", tests: "TestRecoveryWakesEveryLaneOfWhatItPutsToRest",
	},
	{
		name:  "after a doubt only what was acknowledged is read again",
		edits: []edit{{"internal/consumer/position.go", "		upTo = info.Delivered.Stream\n", ""}},
		pkg:   "./internal/consumer", tests: "TestWhatWasAcknowledgedAboveTheFloorIsReadAgain",
	},
	{
		name:  "after a doubt events come before the stream was read again",
		edits: []edit{{"internal/outbox/enqueue.go", "if st.doubted && !b.Recovered {", "if false {"}},
		pkg:   "./internal/outbox", tests: "TestWhatIsLiveIsUnknownWhereCommitsAreMissing",
	},
	{
		name:  "a mark isn't written with its intent",
		edits: []edit{{"internal/outbox/intend.go", "mark = coalesce(u.mark, d.mark)", "mark = d.mark"}},
		pkg:   "./test/killmatrix", tests: "TestKillMatrix/cells/sent/kill/shop/point.incremented",
	},
	{
		name:  "what blocks isn't loaded with its lane",
		edits: []edit{{"internal/outbox/claim.go", "l.kind <> 'order' AND blocks\n", "l.kind <> 'order' AND blocks AND state IN ('pending', 'waiting')\n"}},
		pkg:   "./internal/outbox", tests: "TestWhatBlocksIsLoadedWithItsLaneWhateverItsState",
	},
	{
		name:  "a state that is read is believed at once",
		edits: []edit{{"internal/dispatch/policy.go", "	return t.Sets() || t.Removes()\n", "	return t == event.OrderDeleted\n"}},
		pkg:   "./test/killmatrix", tests: "TestAReadThatLagsProvesNoState",
	},
	{
		name: "a code that is there is believed to be ours",
		edits: []edit{{
			"internal/vendors/pospal/account.go", "r.Proven = e.Key == event.DerivedCode(e.Tenant, e.UUID); r.Proven", "r.Proven = true; r.Proven",
		}},
		pkg: "./internal/vendors/pospal", tests: "TestPushEndsInTheClassOfTheReply",
	},
	{
		name: "the first of several candidates is taken for ours",
		edits: []edit{
			{"internal/vendors/heyshop/points.go", "	case len(equal) > 1:\n", "	case len(equal) > 1 && false:\n"},
			{"internal/vendors/heyshop/points.go", "	case len(equal) == 1:\n", "	case len(equal) > 0:\n"},
		},
		pkg: "./internal/vendors/heyshop", tests: "TestFindComparesTheHistory",
	},
}

package outbox

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"syncworker/internal/event"
)

// Plan is what a decision would do to the deliveries that a filter chooses.
// Nothing is locked by it: Act looks again.
type Plan struct {
	IDs     []int64     `json:"ids"` // in the order in which to act
	Groups  []PlanGroup `json:"groups"`
	Total   PlanTotal   `json:"total"`
	Refused []Refusal   `json:"refused"`
	// Behind are cancelled with their order's create.
	Behind []PlanLine `json:"behind"`
	// MayExist had calls that were never answered clearly: the vendor may have
	// their effect.
	MayExist []int64 `json:"may_exist"`
}

// PlanGroup sums up the deliveries of one type in one state.
type PlanGroup struct {
	Type      event.Type      `json:"type"`
	State     State           `json:"state"`
	Reason    string          `json:"reason"`
	Count     int             `json:"count"`
	Amount    decimal.Decimal `json:"amount"`
	PointsIn  int64           `json:"points_in"`
	PointsOut int64           `json:"points_out"`
}

// PlanTotal is what the deliveries that are acted on move. Updates repeat an
// order's amount, so only creates and refunds count as money.
type PlanTotal struct {
	Count      int             `json:"count"`
	AmountPaid decimal.Decimal `json:"amount_paid"`
	Refunds    decimal.Decimal `json:"refunds"`
	PointsIn   int64           `json:"points_in"`
	PointsOut  int64           `json:"points_out"`
}

// Refusal is a delivery that the decision leaves as it is.
type Refusal struct {
	ID    int64      `json:"id"`
	Type  event.Type `json:"type"`
	State State      `json:"state"`
	Why   string     `json:"why"`
}

// PlanLine names a delivery in a plan.
type PlanLine struct {
	ID      int64      `json:"id"`
	Type    event.Type `json:"type"`
	State   State      `json:"state"`
	Account string     `json:"account"`
	OrderNo string     `json:"order_no"`
}

// Plan says what a decision would do. limit bounds how many deliveries are
// chosen, oldest first; 0 takes all.
func (s *Store) Plan(ctx context.Context, dec Decision, f Filter, limit int) (Plan, error) {
	c, err := s.conditionsOf(ctx, &f)
	if err != nil {
		return Plan{}, fmt.Errorf("planning: %w", err)
	}
	sql := `SELECT ` + standingColumns + standingFrom + c.where() + ` ORDER BY d.id`
	if limit > 0 {
		sql += fmt.Sprintf(" LIMIT %d", limit)
	}
	list, err := standings(ctx, s.pool, sql, c.args...)
	if err != nil {
		return Plan{}, fmt.Errorf("planning: %w", err)
	}
	plan := dec.plan(list)
	for _, id := range f.IDs {
		if !slices.ContainsFunc(list, func(s Standing) bool { return s.ID == id }) {
			plan.Refused = append(plan.Refused, Refusal{ID: id, Why: "isn't there, or the other filters leave it out"})
		}
	}
	if dec.Action == Cancel {
		err = s.planBehind(ctx, list, &plan)
	}
	return plan, err
}

func standings(ctx context.Context, db querier, sql string, args ...any) ([]Standing, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Standing, error) {
		var st Standing
		err := row.Scan(st.columns()...)
		return st, err
	})
}

// plan is Plan for deliveries that have been read.
func (dec *Decision) plan(list []Standing) Plan {
	p := Plan{IDs: []int64{}, Groups: []PlanGroup{}, Refused: []Refusal{}, Behind: []PlanLine{}, MayExist: []int64{}}
	type key struct {
		t      event.Type
		state  State
		reason string
	}
	groups := map[key]*PlanGroup{}
	for i := range list {
		s := &list[i]
		if why := dec.Refuses(s); why != "" {
			p.Refused = append(p.Refused, Refusal{ID: s.ID, Type: s.Type, State: s.State, Why: why})
			continue
		}
		p.IDs = append(p.IDs, s.ID)
		if s.EverAmbiguous {
			p.MayExist = append(p.MayExist, s.ID)
		}
		k := key{s.Type, s.State, s.Reason}
		g := groups[k]
		if g == nil {
			g = &PlanGroup{Type: s.Type, State: s.State, Reason: s.Reason}
			groups[k] = g
		}
		g.add(s)
		p.Total.add(s)
	}
	for _, g := range groups {
		p.Groups = append(p.Groups, *g)
	}
	order := event.Types()
	slices.SortFunc(p.Groups, func(a, b PlanGroup) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Type), slices.Index(order, b.Type)),
			cmp.Compare(a.State, b.State), cmp.Compare(a.Reason, b.Reason))
	})
	return p
}

func (g *PlanGroup) add(s *Standing) {
	g.Count++
	g.Amount = g.Amount.Add(s.Amount.Decimal)
	switch s.Type {
	case event.PointIncremented:
		g.PointsIn += s.Points
	case event.PointDecremented:
		g.PointsOut += s.Points
	}
}

func (t *PlanTotal) add(s *Standing) {
	t.Count++
	switch s.Type {
	case event.OrderCreated:
		t.AmountPaid = t.AmountPaid.Add(s.Amount.Decimal)
	case event.OrderRefunded:
		t.Refunds = t.Refunds.Add(s.Amount.Decimal)
	case event.PointIncremented:
		t.PointsIn += s.Points
	case event.PointDecremented:
		t.PointsOut += s.Points
	}
}

// planBehind adds what is cancelled along with creates, where it isn't chosen by
// itself.
func (s *Store) planBehind(ctx context.Context, list []Standing, p *Plan) error {
	var creates []int64
	for i := range list {
		if st := &list[i]; st.Type == event.OrderCreated && st.Tenant == st.LaneTenant && refusesCancel(st) == "" {
			creates = append(creates, st.ID)
		}
	}
	if len(creates) == 0 {
		return nil
	}
	ids, err := behind(ctx, s.pool, creates)
	if err != nil {
		return err
	}
	ids = slices.DeleteFunc(ids, func(id int64) bool {
		_, chosen := slices.BinarySearch(p.IDs, id)
		return chosen
	})
	followers, err := standings(ctx, s.pool, `SELECT `+standingColumns+standingFrom+`WHERE d.id = ANY($1) ORDER BY d.id`, ids)
	if err != nil {
		return fmt.Errorf("reading what waits behind a create: %w", err)
	}
	for _, f := range followers {
		p.Behind = append(p.Behind, PlanLine{ID: f.ID, Type: f.Type, State: f.State, Account: f.Account, OrderNo: f.OrderNo})
	}
	return nil
}

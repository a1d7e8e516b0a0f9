package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

func (s *Sandbox) adminRoutes() {
	for pattern, handle := range map[string]http.HandlerFunc{
		"GET /sandbox/healthz":   s.healthz,
		"GET /sandbox/summary":   s.getSummary,
		"GET /sandbox/ledger":    s.getLedger,
		"GET /sandbox/orders":    s.getOrders,
		"GET /sandbox/deals":     s.getDeals,
		"GET /sandbox/members":   s.getMembers,
		"POST /sandbox/members":  s.postMembers,
		"GET /sandbox/switches":  s.getSwitches,
		"POST /sandbox/switches": s.postSwitches,
		"GET /sandbox/faults":    s.getFaults,
		"POST /sandbox/faults":   s.postFaults,
		"POST /sandbox/reset":    s.postReset,
	} {
		s.mux.HandleFunc(pattern, handle)
	}
}

func (s *Sandbox) healthz(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]string{"status": "ok"})
}

func (s *Sandbox) getSummary(w http.ResponseWriter, _ *http.Request) { answer(w, s.Summary()) }

func (s *Sandbox) getSwitches(w http.ResponseWriter, _ *http.Request) { answer(w, s.Switches()) }

func (s *Sandbox) getOrders(w http.ResponseWriter, _ *http.Request) { answerLines(w, s.Orders()) }

func (s *Sandbox) getDeals(w http.ResponseWriter, _ *http.Request) { answerLines(w, s.CustomerDeals()) }

func (s *Sandbox) getMembers(w http.ResponseWriter, _ *http.Request) { answerLines(w, s.Members()) }

// getLedger lists ?of=effects (the default), calls or violations, with ?key=
// those of one order number, member id or uuid.
func (s *Sandbox) getLedger(w http.ResponseWriter, r *http.Request) {
	key := r.URL.Query().Get("key")
	switch of := r.URL.Query().Get("of"); {
	case (of == "" || of == "effects") && key == "":
		answerLines(w, s.Effects())
	case of == "" || of == "effects":
		answerLines(w, s.EffectsOf(key))
	case of == "calls" && key == "":
		answerLines(w, s.Calls())
	case of == "calls":
		answerLines(w, s.CallsOf(key))
	case of == "violations" && key == "":
		answerLines(w, s.Violations())
	default:
		http.Error(w, fmt.Sprintf("of is %q: use effects, calls, or violations without key", of), http.StatusBadRequest)
	}
}

// postSwitches changes the switches that the body names and answers with all.
func (s *Sandbox) postSwitches(w http.ResponseWriter, r *http.Request) {
	sw := s.Switches()
	if !read(w, r, &sw) {
		return
	}
	if err := s.SetSwitches(sw); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer(w, s.Switches())
}

// getFaults lists the faults there are and the rules in force.
func (s *Sandbox) getFaults(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	rules := s.plan.rules // never changed in place, only appended to or replaced
	s.mu.Unlock()
	answer(w, map[string]any{"faults": Faults(), "ops": Ops(), "rules": append([]Rule{}, rules...)})
}

// postFaults replaces the rules by those of {"rules":[…]}; an empty list ends
// all faults.
func (s *Sandbox) postFaults(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Rules []Rule `json:"rules"`
	}
	if !read(w, r, &body) {
		return
	}
	if err := s.SetRules(body.Rules...); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.getFaults(w, r)
}

// postMembers seeds members and answers with their ids.
func (s *Sandbox) postMembers(w http.ResponseWriter, r *http.Request) {
	var seed Seed
	if !read(w, r, &seed) {
		return
	}
	ids, err := s.SeedMembers(seed)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer(w, map[string][]int64{"ids": ids})
}

func (s *Sandbox) postReset(w http.ResponseWriter, _ *http.Request) {
	s.Reset()
	answer(w, map[string]string{"status": "reset"})
}

// read decodes the body strictly; an empty body changes nothing. It answers
// and returns false if that doesn't work.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 16<<20))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil && err != io.EOF {
		http.Error(w, "reading the body: "+err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

func answer(w http.ResponseWriter, doc any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(doc)
}

// answerLines writes one JSON document a line.
func answerLines[T any](w http.ResponseWriter, rows []T) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	for _, row := range rows {
		if err := enc.Encode(row); err != nil {
			panic("sandbox: a ledger row can't be written as JSON: " + err.Error())
		}
		if buf.Len() > 64<<10 {
			if _, err := buf.WriteTo(w); err != nil {
				return
			}
		}
	}
	buf.WriteTo(w)
}

package dmhub_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/vendorstest"
)

func known(identities ...event.MemberIdentity) event.Member {
	return event.Member{Identities: identities}
}

var (
	mobile = event.MemberIdentity{Type: "mobile", Value: vendorstest.Mobile}
	wechat = event.MemberIdentity{Type: "wechat", Value: "1111111111"}
)

func TestFindMemberTriesEachIdentityAndRemembers(t *testing.T) {
	s := newShop(t)
	s.reply = func(r *http.Request) (int, string) {
		if r.URL.Query().Get("type") == "wechat" {
			return 200, golden(t, "member")
		}
		return 200, `{"error":{"code":"210","message":"no member ` + vendorstest.Mobile + `"}}`
	}
	a := s.account(t, nil)
	for _, calls := range []int{2, 1} {
		id, r := a.FindMember(t.Context(), known(mobile, wechat))
		require.Equal(t, vendors.Applied, r.Class)
		require.Equal(t, calls, r.Calls)
		require.Equal(t, "123456789012345678", id)
	}
	require.Len(t, s.seen, 3, "who wasn't found is asked for again, who was isn't")
	require.Equal(t, "GET /loyalty/v1/membershipService/getMembershipByIdentity?type=wechat&value=1111111111", s.seen[1])

	id, r := a.FindMember(t.Context(), known(mobile))
	require.Empty(t, id)
	require.Equal(t, vendors.Refused, r.Class)
	require.Equal(t, "210", r.Code)
	require.Equal(t, "member_not_found", r.Hold)
	require.Equal(t, "/loyalty/v1/membershipService/getMembershipByIdentity?type=mobile&value=…", r.Path)
	require.NotContains(t, r.Message, vendorstest.Mobile)
}

func TestFindMemberSaysWhyTheReadFailed(t *testing.T) {
	for body, want := range map[string]vendors.Class{
		`{"error":{"code":"100","message":"missing"}}`: vendors.Ambiguous,
		`{"error":{"code":"500000","message":""}}`:     vendors.Ambiguous,
		`{"membership":{"id":null}}`:                   vendors.Ambiguous,
		`{"membership":{"id":"../1"}}`:                 vendors.Ambiguous,
		`{"membership":null}`:                          vendors.Ambiguous,
		`<html>`:                                       vendors.Ambiguous,
		`{"error_code":40001,"error_description":"x"}`: vendors.Denied,
		`{"error":{"code":220,"message":"no type"}}`:   vendors.Refused,
	} {
		s := newShop(t)
		s.answers(200, body)
		id, r := s.account(t, nil).FindMember(t.Context(), known(mobile))
		require.Empty(t, id)
		require.Equal(t, want, r.Class, body)
	}
}

func TestFindMemberAsksNobodyWithoutNeed(t *testing.T) {
	s := newShop(t)
	a := s.account(t, nil)
	id, r := a.FindMember(t.Context(), event.Member{MembershipID: "7", Identities: []event.MemberIdentity{mobile}})
	require.Equal(t, "7", id)
	require.Equal(t, vendors.Applied, r.Class)
	require.Zero(t, r.Calls)
	id, r = a.FindMember(t.Context(), event.Member{})
	require.Empty(t, id)
	require.Equal(t, vendors.Refused, r.Class)
	require.Empty(t, s.seen)
}

func TestAMemberWhoIsGoneIsForgotten(t *testing.T) {
	s := newShop(t)
	a := s.account(t, nil)
	s.answers(200, golden(t, "member"))
	a.FindMember(t.Context(), known(mobile))
	s.answers(200, `{"error":{"code":"210","message":""}}`)
	a.Push(t.Context(), call(event.PointIncremented))
	id, _ := a.FindMember(t.Context(), known(mobile))
	require.Empty(t, id)
}

func TestCheck(t *testing.T) {
	s := newShop(t)
	s.answers(200, `{"error":{"code":"210","message":"没找到会员"}}`)
	require.Equal(t, vendors.Applied, s.account(t, nil).Check(t.Context()).Class)
	s.answers(403, "")
	require.Equal(t, vendors.Denied, s.account(t, nil).Check(t.Context()).Class)
	s.answers(200, `{"error":{"code":"409200","message":"Not found"}}`)
	require.Equal(t, vendors.Applied, s.deals(t).Check(t.Context()).Class)
}

func TestTokensAreReplacedEarlyAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fetched := 0
		fetch := func(context.Context) (string, time.Duration, error) { fetched++; return "t", 7200 * time.Second, nil }
		var s vendorstest.Tokens
		first, err := s.Token(t.Context(), fetch)
		require.NoError(t, err)
		time.Sleep(6999 * time.Second)
		_, _ = s.Token(t.Context(), fetch)
		require.Equal(t, 1, fetched)
		time.Sleep(time.Second)
		second, _ := s.Token(t.Context(), fetch)
		require.Equal(t, 2, fetched)
		third, _ := s.Refresh(t.Context(), first.Generation, fetch)
		require.Equal(t, second, third, "another worker was faster")
		require.Equal(t, 2, fetched)
	})
}

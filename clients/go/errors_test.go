package ketgate

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	optimizationv1 "ketgate.dev/clients/go/gen/ketgate/optimization/v1"
	typev1 "ketgate.dev/clients/go/gen/ketgate/type/v1"
)

var sentinels = []*Error{
	ErrMalformedMessage, ErrFieldInvalid, ErrLimitExceeded, ErrServerBusy, ErrTokenMissing, ErrTokenInvalid,
	ErrRoleMissing, ErrTLSRequired, ErrPartNotInstalled, ErrDeadlineExceeded, ErrCancelled, ErrDraining,
	ErrMethodUnknown, ErrInternal, ErrSolverUnsuitable, ErrServiceUnknown,
	ErrRequestIDReused, ErrReplyExpired, ErrResourceNotFound, ErrRevisionCompacted, ErrWatchTooSlow, ErrJobUnfinished, ErrETagMismatch, ErrStoreUnavailable,
	ErrWorkerLost, ErrJobCancelled, ErrJobExpired, ErrOffsetMismatch, ErrDigestMismatch, ErrArtifactInUse, ErrQuotaExceeded,
	ErrProgramInvalid, ErrBackendUnsuitable, ErrBackendUnavailable, ErrCapExceeded, ErrProviderFailed, ErrProviderCredentials,
	ErrSubmissionUndecided, ErrProviderJobFailed, ErrResourceExists, ErrPolicyDenied, ErrKeyUnusable, ErrKeyNotExportable,
	ErrRateExceeded, ErrCiphertextInvalid, ErrKeyStoreSealed, ErrKeyCorrupt, ErrKeyStoreRolledBack, ErrChangeUndecidable,
	ErrChecksumMismatch,
}

func TestEveryReasonOfTheContractHasAnErrorAndARemedy(t *testing.T) {
	known := map[Reason]bool{}
	for _, sentinel := range sentinels {
		known[sentinel.Reason] = true
	}
	for number, name := range typev1.ErrorReason_name {
		reason := Reason(strings.TrimPrefix(name, "ERROR_REASON_"))
		if number == 0 {
			continue
		}
		if !known[reason] {
			t.Errorf("%s has no Err variable", reason)
		}
		if remedies[reason] == "" {
			t.Errorf("%s has no remedy", reason)
		}
	}
}

// failing is what a client gets when the server answers with err.
func failing(t *testing.T, err error) error {
	t.Helper()
	client, _ := connected(t, &fakeServer{
		solve: func(context.Context, *optimizationv1.SolveRequest) (*optimizationv1.SolveResponse, error) {
			return nil, err
		},
	}, WithAttempts(1))
	_, got := client.Solve(t.Context(), &optimizationv1.SolveSpec{})
	return got
}

func TestAnErrorSaysWhatWhereAndWhatToDo(t *testing.T) {
	got := failing(t, refusal(codes.InvalidArgument, "FIELD_INVALID", "spec.seed: expected a number",
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: "spec.seed", Description: "expected a number"},
			{Field: "spec.threads", Description: "expected another"},
		}}))

	var refused *Error
	if !errors.As(got, &refused) {
		t.Fatalf("%T is no *Error", got)
	}
	want := []FieldViolation{{"spec.seed", "expected a number"}, {"spec.threads", "expected another"}}
	if refused.Reason != "FIELD_INVALID" || refused.Field != "spec.seed" || !reflect.DeepEqual(refused.Violations, want) {
		t.Errorf("read as %+v", refused)
	}
	if refused.RequestID != "r-1" || refused.Remedy == "" {
		t.Errorf("without request id or remedy: %+v", refused)
	}
	if !errors.Is(got, ErrFieldInvalid) || errors.Is(got, ErrServerBusy) {
		t.Error("errors.Is does not compare reasons")
	}
	if status.Code(got) != codes.InvalidArgument || len(status.Convert(got).Details()) != 2 {
		t.Error("the gRPC status is lost")
	}
	for _, part := range []string{"FIELD_INVALID", "expected a number", "r-1", refused.Remedy} {
		if !strings.Contains(got.Error(), part) {
			t.Errorf("the text %q lacks %q", got, part)
		}
	}
}

func TestQuotaAndRetryAreRead(t *testing.T) {
	var refused *Error
	errors.As(failing(t, refusal(codes.ResourceExhausted, "LIMIT_EXCEEDED", "too large",
		&errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{{Subject: "optimization.spins_max"}}})),
		&refused)
	if refused.Limit != "optimization.spins_max" || refused.Temporary() {
		t.Errorf("read as %+v", refused)
	}

	errors.As(failing(t, refusal(codes.ResourceExhausted, "SERVER_BUSY", "busy",
		&errdetails.RetryInfo{RetryDelay: durationpb.New(250 * time.Millisecond)})), &refused)
	if refused.RetryAfter != 250*time.Millisecond || !refused.Temporary() {
		t.Errorf("read as %+v", refused)
	}
}

func TestReasonsOfOtherDomainsAreNotOurs(t *testing.T) {
	answer, err := status.New(codes.Unavailable, "proxy").WithDetails(
		&errdetails.ErrorInfo{Reason: "UPSTREAM_GONE", Domain: "proxy.example"})
	if err != nil {
		t.Fatal(err)
	}
	got := failing(t, answer.Err())
	var refused *Error
	if !errors.As(got, &refused) || refused.Reason != "" || !errors.Is(got, ErrUnavailable) {
		t.Errorf("read as %+v", got)
	}
}

func TestErrorsWithoutDetails(t *testing.T) {
	for code, want := range map[codes.Code]error{
		codes.ResourceExhausted: ErrLimitExceeded,
		codes.Unimplemented:     ErrMethodUnknown,
		codes.Internal:          ErrInternal,
		codes.Unavailable:       ErrUnavailable,
	} {
		if got := failing(t, status.Error(code, "bare")); !errors.Is(got, want) {
			t.Errorf("%v is read as %v", code, got)
		}
	}
}

func TestTheContextsErrorsAreFound(t *testing.T) {
	client, _ := connected(t, &fakeServer{
		solve: func(ctx context.Context, _ *optimizationv1.SolveRequest) (*optimizationv1.SolveResponse, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
	})
	late, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := client.Solve(late, &optimizationv1.SolveSpec{})
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrDeadlineExceeded) {
		t.Errorf("a late call gives %v", err)
	}

	ended, end := context.WithCancel(t.Context())
	end()
	_, err = client.Solve(ended, &optimizationv1.SolveSpec{})
	if !errors.Is(err, context.Canceled) || !errors.Is(err, ErrCancelled) {
		t.Errorf("a cancelled call gives %v", err)
	}
}

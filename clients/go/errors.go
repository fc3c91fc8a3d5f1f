package ketgate

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Domain is the domain of the server's reasons in google.rpc.ErrorInfo.
const Domain = "ketgate.dev"

// Reason tells why a call was refused. Reasons are stable; docs/errors.md lists them.
type Reason string

// FieldViolation is one field that holds what it must not.
type FieldViolation struct {
	// Field is its path in the request, for example "spec.portfolio.constraints.cardinality.names_max".
	Field string
	// Description says what was expected and what was given.
	Description string
}

// Error is what every failed call returns. Branch on Reason or with errors.Is, never on the text.
type Error struct {
	// Code is gRPC's canonical code.
	Code codes.Code
	// Reason is the server's reason; empty when the server was never reached.
	Reason Reason
	// Message is for people.
	Message string
	// Field is the path of the first field at fault, if any.
	Field string
	// Violations are all the fields at fault.
	Violations []FieldViolation
	// Limit names the limit that was exceeded, if any.
	Limit string
	// RetryAfter is when to come back; zero if the server did not say.
	RetryAfter time.Duration
	// RequestID finds the call in the server's log.
	RequestID string
	// Remedy says what to do, in a sentence.
	Remedy string

	status *status.Status
}

// Error is the message, with the remedy and the request id.
func (e *Error) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s", e.name(), e.Message)
	if e.Remedy != "" {
		fmt.Fprintf(&text, " (what to do: %s)", e.Remedy)
	}
	if e.RequestID != "" {
		fmt.Fprintf(&text, " (request id: %s)", e.RequestID)
	}
	return text.String()
}

func (e *Error) name() string {
	if e.Reason != "" {
		return string(e.Reason)
	}
	return e.Code.String()
}

// GRPCStatus makes status.FromError and status.Code see through an Error.
func (e *Error) GRPCStatus() *status.Status {
	if e.status == nil {
		return status.New(e.Code, e.Message)
	}
	return e.status
}

// Is compares reasons, or codes where the target has no reason. A call that ended with its context also is the
// context's error.
func (e *Error) Is(target error) bool {
	if target == context.Canceled {
		return e.Code == codes.Canceled
	}
	if target == context.DeadlineExceeded {
		return e.Code == codes.DeadlineExceeded
	}
	other, ok := target.(*Error)
	if !ok {
		return false
	}
	if other.Reason != "" {
		return e.Reason == other.Reason
	}
	return e.Code == other.Code
}

// Temporary tells whether the same call may succeed a little later.
func (e *Error) Temporary() bool {
	switch e.Reason {
	case ErrServerBusy.Reason, ErrDraining.Reason, ErrStoreUnavailable.Reason, ErrRateExceeded.Reason,
		ErrChecksumMismatch.Reason:
		return true
	}
	return e.Code == codes.Unavailable && e.Reason == ""
}

// isCut tells whether a watch or a wait ended for a reason that has nothing to do with what it asked.
func (e *Error) isCut() bool {
	switch {
	case e.Temporary(), e.Reason == ErrWatchTooSlow.Reason:
		return true
	case e.Code == codes.Internal || e.Code == codes.Canceled || e.Code == codes.DeadlineExceeded:
		return e.RequestID == "" // of the transport, or of our own renewal: no server said so
	}
	return false
}

// fromStatus is the error that a status stands for which came in an answer, as that of a failed job.
func fromStatus(told *spb.Status) error { return newError(status.ErrorProto(told)) }

// unavailable is an error of this client's own making.
func unavailable(message string) error { return newError(status.Error(codes.Unavailable, message)) }

// newError reads an error of grpc-go; nil stays nil.
func newError(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := err.(*Error); ok {
		return err
	}
	answer := status.Convert(err)
	e := &Error{Code: answer.Code(), Message: answer.Message(), status: answer}
	e.read(answer.Details())
	if e.Reason == "" {
		e.Reason = reasonsOfTransport[e.Code]
	}
	e.Remedy = remedies[e.Reason]
	if e.Reason == "" && e.Code == codes.Unavailable {
		e.Remedy = unreachableRemedy
	}
	return e
}

// read takes what google.rpc.Status says beyond its message.
func (e *Error) read(details []any) {
	for _, detail := range details {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() == Domain {
				e.Reason = Reason(d.GetReason())
				e.RequestID = d.GetMetadata()["request_id"]
				e.Field = d.GetMetadata()["field"]
			}
		case *errdetails.BadRequest:
			for _, violation := range d.GetFieldViolations() {
				e.Violations = append(e.Violations, FieldViolation{violation.GetField(), violation.GetDescription()})
			}
			if e.Field == "" && len(e.Violations) > 0 {
				e.Field = e.Violations[0].Field
			}
		case *errdetails.RetryInfo:
			e.RetryAfter = max(d.GetRetryDelay().AsDuration(), 0)
		case *errdetails.QuotaFailure:
			if violations := d.GetViolations(); len(violations) > 0 {
				e.Limit = violations[0].GetSubject()
			}
		}
	}
}

// Package ketgate is the Go client of Ketgate, one typed gRPC door to hybrid classical-quantum compute.
//
// [Connect] finds a local server by its ready file, or takes an address, a CA and a token. A [Client] has the generated
// stubs, with TLS, the token, default deadlines, retries and typed errors in place, and short forms of the calls that
// are made most:
//
//	client, err := ketgate.Connect(ctx)
//	if err != nil { ... }
//	defer client.Close()
//
//	for event, err := range client.SolveStream(ctx, spec) {
//		if err != nil { ... }
//		if found := event.GetIncumbent(); found != nil {
//			fmt.Println(found.GetSolution().GetObjective())
//		}
//	}
//
// Every failed call returns an [*Error], which says what, where and what to do:
//
//	var refused *ketgate.Error
//	if errors.As(err, &refused) { fmt.Println(refused.Reason, refused.Field, refused.Remedy) }
//	if errors.Is(err, ketgate.ErrServerBusy) { ... }
package ketgate

// Version of this client; it is sent as part of the user agent.
const Version = "0.1.0"

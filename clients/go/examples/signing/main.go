// Signing makes a key or uses the one that there is, signs an order and verifies it, then signs a thousand at once.
//
//	ketgate serve &
//	go run ./examples/signing                          # the local server
//	go run ./examples/signing -key desk -algorithm ML_DSA_65_ED25519
//	go run ./examples/signing path/ready.json          # the server that wrote this file
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	ketgate "ketgate.dev/clients/go"
	signingv1 "ketgate.dev/clients/go/gen/ketgate/signing/v1"
)

const orders = 1000

func main() {
	log.SetFlags(0)
	id := flag.String("key", "go-example", "id of the key; made where it is not there")
	algorithm := flag.String("algorithm", "ML_DSA_65", "what a new key is made for")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *id, *algorithm, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, id, algorithm string, arguments []string) error {
	var options []ketgate.Option
	if len(arguments) > 0 {
		options = append(options, ketgate.WithReadyFile(arguments[0]))
	}
	client, err := ketgate.Connect(ctx, options...)
	if err != nil {
		return err
	}
	defer client.Close()

	key, err := keyOf(ctx, client, id, algorithm)
	if err != nil {
		return err
	}
	order := []byte("buy 100 of X at 12.50")
	signed, err := client.Sign(ctx, key, order, nil)
	if err != nil {
		return err
	}
	fmt.Printf("%s, %d bytes, by %s (%s, %s)\n", signed.GetAlgorithm(), len(signed.GetSignature()),
		signed.GetKeyVersion(), signed.GetStandard(), signed.GetProvider())
	for _, text := range []string{string(order), "buy 900 of X at 12.50"} {
		verdict, err := client.Verify(ctx, key, []byte(text), signed.GetSignature(), nil)
		if err != nil {
			return err
		}
		fmt.Printf("%-24s valid: %v\n", text, verdict.GetValid())
	}
	return batch(ctx, client, key)
}

// keyOf is the key of this id, made where it is not there.
func keyOf(ctx context.Context, client *ketgate.Client, id, algorithm string) (string, error) {
	number, known := signingv1.Algorithm_value["ALGORITHM_"+algorithm]
	if !known {
		return "", fmt.Errorf("-algorithm: expected one of the contract's, as ML_DSA_65, given %q", algorithm)
	}
	key, err := client.CreateKey(ctx, &signingv1.CreateKeyRequest{KeyId: id, Algorithm: signingv1.Algorithm(number)})
	if errors.Is(err, ketgate.ErrResourceExists) {
		return "keys/" + id, nil
	}
	return key.GetName(), err
}

func batch(ctx context.Context, client *ketgate.Client, key string) error {
	items := make([]*signingv1.SignItem, orders)
	for i := range items {
		items[i] = &signingv1.SignItem{Reference: fmt.Sprintf("order-%d", i), Message: fmt.Appendf(nil, "order %d", i)}
	}
	begin := time.Now()
	results, err := client.SignBatch(ctx, key, items, nil)
	if err != nil {
		return err
	}
	signed := 0
	for _, result := range results {
		if err := ketgate.ItemError(result.GetError()); err != nil {
			fmt.Printf("%s: %v\n", result.GetReference(), err)
			continue
		}
		signed++
	}
	fmt.Printf("%d of %d orders signed in %.0f ms\n", signed, orders, time.Since(begin).Seconds()*1000)
	return nil
}

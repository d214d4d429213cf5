// Sends events to a gateway and says what became of them.
//
//   dotnet run -- --address HOST:PORT --key-file FILE [--ca FILE | --tls true] [--events N] [--every MS]

using System.Security.Cryptography.X509Certificates;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Headgate.Example;
using Headgate.V1;

var options = new Dictionary<string, string>
{
    ["--address"] = "127.0.0.1:50051",
    ["--key-file"] = "headgate-data/demo-api-key",
    ["--ca"] = "",
    ["--tls"] = "false",
    ["--events"] = "10000",
    ["--every"] = "0",
};
for (var at = 0; at < args.Length; at += 2)
{
    if (at + 1 == args.Length || !options.ContainsKey(args[at]))
    {
        Console.Error.WriteLine("usage: send [--address HOST:PORT] [--key-file FILE] [--ca FILE | --tls true]"
            + " [--events N] [--every MS]");
        return 2;
    }
    options[args[at]] = args[at + 1];
}

var authority = options["--ca"].Length > 0 ? X509Certificate2.CreateFromPem(File.ReadAllText(options["--ca"])) : null;
var scheme = authority != null || bool.Parse(options["--tls"]) ? "https" : "http";
var key = File.ReadAllText(options["--key-file"]).Trim();
var sender = new Sender(new Uri($"{scheme}://{options["--address"]}"), key, authority);
var status = 0;
try
{
    for (var number = 0; number < int.Parse(options["--events"]); number++)
    {
        await sender.PutAsync(new Event
        {
            EventType = "login",
            EventName = "player_login",
            EventTimestamp = Timestamp.FromDateTime(DateTime.UtcNow),
            EventData = ByteString.CopyFromUtf8($$"""{"player_id":"p-{{number % 1000}}","number":{{number}}}"""),
        });
        await Task.Delay(int.Parse(options["--every"]));
    }
    await sender.CloseAsync(TimeSpan.FromSeconds(60));
}
catch (Exception error)
{
    Console.Error.WriteLine(error.Message);
    status = 1;
}
Console.WriteLine(sender.Report());
return status;

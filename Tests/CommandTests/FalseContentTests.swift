import Bundles
import Testing
import Wire

/// A thief of the server's key sends the true model of a round with something else that is false beside it.
@Suite struct FalseContentTests {
    private static let plan = """
        rounds: 3
        train_from: layer3
        batch_norm: frozen
        feature_views: 2
        schedule: {name: cosine, warmup: 0.5}
        augmentation: {rotation: 0, zoom: 0, shift: 0, horizontal_flip: true, brightness: 0.1, contrast: 0.1}

        """

    enum Forgery: CaseIterable { case plan, frozenTensors, silentlyFrozenTensors, both }

    /// Round 1 is open; hospital-a has the true one and, where it is said so, has answered it.
    private func running(_ answers: Bool) throws -> World {
        let world = try World.enrolled()
        try world.request(rounds: 3)
        try world.shell("mkdir -p S/requests/approved/spring")
        try world.write(Self.plan, to: "S/requests/approved/spring/plan.yaml")
        try world.approveAll("spring")
        if answers { for home in World.everybody { try world.visit(home) } }
        return world
    }

    /// The global of round 1 for hospital-a, by the server's key.
    private func lay(_ forgery: Forgery, in world: World) throws {
        let sent = try #require(world.names("S/outbox", "global").first)
        try world.forge("S/outbox/\(sent)", key: try world.key("S"), to: "a/inbox/forged.tar.age") {
            (manifest, payload) in
            manifest = Manifest(
                kind: manifest.kind, federation: manifest.federation, session: manifest.session, round: manifest.round,
                seq: 900_000, sender: manifest.sender, recipients: [try #require(PartyName("hospital-a"))],
                created: manifest.created, expires: manifest.expires, acks: [])
            let parts = Dictionary(uniqueKeysWithValues: payload.indices.map { (payload[$0].name, $0) })
            let (plan, base, round) = (parts["plan.json"], parts["base.safetensors"], parts["round.json"])
            if forgery == .plan || forgery == .both, let plan {
                let text = String(decoding: payload[plan].bytes, as: UTF8.self)
                payload[plan].bytes = Array(text.replacing(/"batch_size":\d+/, with: "\"batch_size\":2").utf8)
                #expect(payload[plan].bytes != Array(text.utf8))
            }
            if forgery != .plan, let base, let round {
                let former = SHA256Hash.digest(of: payload[base].bytes)
                payload[base].bytes[payload[base].bytes.count - 2] ^= 0x20
                let text = String(decoding: payload[round].bytes, as: UTF8.self)
                #expect(text.contains("\"frozen\":\"\(former.hex)\""))
                let named = "\"\(SHA256Hash.digest(of: payload[base].bytes).hex)\""
                payload[round].bytes = Array(
                    text.replacing(/"frozen":"\w+",/, with: forgery == .frozenTensors ? "\"frozen\":\(named)," : "")
                        .utf8)
            }
        }
    }

    private func base(of home: String, in world: World) throws -> [UInt8] {
        let id = try #require(try world.session("spring")["id"].text)
        return try world.bytes("\(home)/sessions/\(id)/base.safetensors")
    }

    @Test(arguments: Forgery.allCases, [false, true])
    func whatIsFalseBesideATrueModelGoesWithTheThiefsKey(forgery: Forgery, hasAnswered: Bool) throws {
        let world = try running(hasAnswered)
        if !hasAnswered { try world.shell("cp S/outbox/decision-*-to-hospital-a-* a/inbox/") }
        try lay(forgery, in: world)
        let told = try world.succeed("client", "run", "--home", "a", "--verbose")
        let isRefused = hasAnswered && (forgery == .plan || forgery == .both)
        #expect(told.output.contains("plan.json is another one") == isRefused, "\(told)")
        let isFalse = try base(of: "a", in: world) != base(of: "S", in: world)
        #expect(isFalse == (forgery != .plan && !isRefused))
        try world.drill()
        try world.serve()
        for round in 1...4 {
            try world.journey()
            let isTrue = try base(of: "a", in: world) == base(of: "S", in: world)
            #expect(isTrue, "round \(round)")
        }
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").map { $0.fate(of: "hospital-a") } == ["counted", "counted", "counted"])
        // As if nothing had been.
        let honest = try running(hasAnswered)
        for _ in 1...4 { try honest.journey() }
        #expect(try world.model(1) == honest.model(1))
    }

    /// Without the drill's help: the server's next word names other frozen tensors than those that are here.
    @Test func frozenTensorsThatTheServerDoesNotNameAreToldAndComeAgain() throws {
        let world = try running(true)
        try lay(.frozenTensors, in: world)
        try world.succeed("client", "run", "--home", "a")
        for home in World.everybody { try world.answer(home) }
        try world.serve()
        try world.carry("S", to: "a")
        let told = try world.run("client", "run", "--home", "a")
        #expect(told.status == 66)
        #expect(told.output.contains("its frozen tensors here are not those that the server names"), "\(told)")
        try world.succeed("server", "reissue", "spring", "hospital-a", "--home", "S")
        try world.serve()
        for _ in 1...3 { try world.journey() }
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").map { $0.fate(of: "hospital-a") } == ["counted", "counted", "counted"])
    }

    @Test func frozenTensorsThatTheReportDoesNotNameAreRefused() throws {
        let world = try running(false)
        let sent = try #require(world.names("S/outbox", "global").first)
        try world.forge("S/outbox/\(sent)", key: try world.key("S"), to: "a/inbox/forged.tar.age") { (_, payload) in
            for index in payload.indices where payload[index].name == "base.safetensors" {
                payload[index].bytes[payload[index].bytes.count - 2] ^= 0x20
            }
        }
        let told = try world.succeed("client", "run", "--home", "a")
        #expect(told.output.contains("round.json is not about this bundle's base.safetensors"), "\(told)")
    }
}

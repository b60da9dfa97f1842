import Bundles
import Configuration
import Federation
import Files
import Mailbox
import SystemPackage
import Tensors
import Wire

/// Sessions from start to version: what time and arrived updates make of them.
extension ServerRun {
    /// One step of every session that goes on. A session whose step fails is told and left as it is; the others go on.
    func stepSessions() throws {
        for id in sessions.map(\.id) {
            guard let session = session(id), !session.isOver || session.version == nil else { continue }
            try isolated("session \(session.name)") {
                // A revocation that was stopped after the trust was saved comes to its end here.
                for name in session.active where !session.isOver && mailbox.trust.isWithoutKey(name) {
                    try apply(.exclude(name, reason: Self.revokedReason), to: id)
                }
                if session.state == .waiting {
                    try dropExpired(self.session(id) ?? session)
                    try startIfReady(self.session(id) ?? session)
                }
                try apply(.tick, to: id)
                try work(on: id)
            }
        }
    }

    /// Aggregation, saving, telling: answers the wishes that are not publications until none is left.
    private func work(on id: RandomID) throws {
        while let session = session(id) {
            var didWork = false
            for wish in session.wishes {
                switch wish {
                case .aggregate(let order):
                    let model = try aggregate(order, session: session)
                    try apply(.aggregated(round: order.round, model: model), to: id)
                    didWork = true
                case .saveVersion(let order):
                    let number = try versions.save(session, order: order, sessions: store, now: now)
                    try apply(.versionSaved(number), to: id)
                    attention("session \(session.name) has finished: version \(number) is saved")
                    didWork = true
                case .announcePause where !isTick: break
                case .announcePause(let reason):
                    // The exit status, once. The line was said by the event, in this run or in an admin's command, which is not
                    // where cron's mail goes.
                    let line = "session \(session.name): \(SessionEffect.paused(reason: reason))"
                    if !report.attention.contains(line) { attention(line) }
                    report.isShortOfQuorum = true
                    try apply(.pauseAnnounced, to: id)
                case .decision, .global, .abort: break
                }
            }
            if !didWork { return }
        }
    }

    /// Averages the frozen updates straight out of their archived bundles, which are verified once more on the way.
    private func aggregate(_ order: AggregationOrder, session: Session) throws -> Digest {
        let base = try ModelFiles.open(try store.path(of: order.base, in: session))
        let inputs = try order.inputs.map { update in
            AggregationInput(
                client: update.client, weight: update.weight, source: try archivedUpdate(update.bundle))
        }
        let path = store.modelPath(session.id, round: order.round)
        try files.makeDirectories(path.removingLastComponent())
        try ModelFiles.write(to: path, files: files) { sink in
            try Aggregation.run(base: base, inputs: inputs, strategy: order.strategy.aggregation, to: sink)
        }
        return try SHA256Hash.digest(of: path, files: files).digest
    }

    // MARK: start

    /// An approval ends when its request expires: whoever waited that long for a session may not expect it any more.
    private func dropExpired(_ session: Session) throws {
        for participant in session.participants where participant.standing == .active {
            guard let record = records.request(participant.request), now > record.expires else { continue }
            try apply(
                .drop(record.client, reason: "the request expired before the session began; send a new one"),
                to: session.id)
            attention("session \(session.name): \(record.label) of \(record.client) expired before the session began")
        }
    }

    private func startIfReady(_ session: Session) throws {
        guard session.active.count >= session.minimumClients else {
            announce(
                "waiting-\(session.id.hex)-\(session.active.count)",
                "session \(session.name) waits: it has \(session.active.count) of the \(session.minimumClients) clients that it needs"
            )
            return
        }
        guard let head = try versions.head() else {
            announce(
                "no-version-\(session.id.hex)",
                "session \(session.name) waits for a first model: run 'consilium model import' or 'consilium model init'"
            )
            return
        }
        let plan: Plan
        do {
            plan = try self.plan(of: session, version: try versions.record(head))
        } catch
            where error is FederationError || error is ConfigurationError
            || (error as? FileError)?.isTransient == false
        {
            announce("plan-\(session.id.hex)-\(error)", "session \(session.name) cannot start: \(error)")
            return
        }
        guard session.canStart(plan) else {
            announce(
                "quorum-\(session.id.hex)-\(session.active.count)",
                "session \(session.name) waits: its quorum needs more than \(session.active.count) clients")
            return
        }
        try apply(.start(try prepare(plan, session: session, version: head)), to: session.id)
    }

    /// The admin's `plan.yaml`, or the wishes of the request with the lowest number, over the server's defaults.
    private func plan(of session: Session, version: VersionRecord) throws -> Plan {
        let path = home.requests.appending("approved").appending(session.name).appending("plan.yaml")
        var layers = [configuration.planDefaults]
        var context = home.configurationPath.string
        if session.isNamed, try files.exists(path) {
            let bytes = try files.readFile(path, limit: StrictYAML.maximumBytes)
            context = path.string
            layers.append(try StrictYAML.parse(bytes, name: context))
        } else {
            // Whoever has left before the start has no say in the plan.
            let own = session.participants.filter { $0.standing == .active }.compactMap { records.request($0.request) }
            if let first = own.min(by: { $0.number < $1.number }) {
                layers.append(first.request.wishes.layer)
                context = first.label
            }
        }
        let plan = try PlanDefaults.plan(
            layers: layers, architecture: version.architecture, classes: version.classes,
            imageSize: version.imageSize, crop: version.crop, context: context)
        return session.active.count == 1 && session.minimumClients == 1 ? plan.trainingAlone : plan
    }

    /// Takes the newest version apart into what trains and what is frozen. Repeating it writes the same bytes.
    private func prepare(_ plan: Plan, session: Session, version: Int) throws -> SessionStart {
        let whole = try ModelFiles.open(versions.modelPath(version))
        guard whole.layouts.contains(where: plan.trains) else {
            throw ServerError(
                .badInput, "train_from: \(plan.trainFrom.rawValue) leaves nothing to train in version \(version)")
        }
        let model = try ModelFiles.write(
            [whole], to: store.modelPath(session.id, round: 0), files: files, keeping: plan.trains)
        var base: Digest?
        if !whole.layouts.allSatisfy(plan.trains) {
            base = try ModelFiles.write([whole], to: store.basePath(session.id), files: files) { !plan.trains($0) }
        }
        return SessionStart(
            plan: plan, planDigest: SHA256Hash.digest(of: plan.encoded), version: version, model: model, base: base)
    }
}

extension Session {
    /// Whether it stands for a folder of `requests/approved/`. A request's own session is `REQ-1@hospital-a`, which no
    /// folder may be called.
    var isNamed: Bool { !name.contains("@") }
    /// Its folder in `requests/approved/`; nil where its one request lies in that itself.
    var folder: String? { isNamed ? name : nil }
}

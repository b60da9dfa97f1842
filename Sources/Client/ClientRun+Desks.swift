import Bundles
import Federation
import Files
import Mailbox
import NeuralNetworks
import SystemPackage
import Tensors
import Wire

/// The hospital's own desks: plans that it did not ask for, and finished models.
extension ClientRun {
    func readDesks() throws {
        let plans = try look(at: .plans(home))
        for session in state.sessions where session.consent == .asked && session.ended == nil {
            // A newer global of the session may lie there too; a decision about any of them is one about the plan.
            let states = plans.items.filter { $0.manifest.session == session.id }.map(\.state)
            if states.contains(.rejected) {
                try decide(session, consent: .refused, actor: unknownMover)
            } else if states.contains(.approved) {
                try decide(session, consent: .granted, actor: unknownMover)
            }
        }
        for item in plans.items {
            // A session that is over or was decided about otherwise waits for no decision, and its plan is in the archive as
            // long as it is worth anything.
            guard let session = state.session(item.manifest.session) else { continue }
            if session.ended != nil || item.state == .pending && session.consent != .asked {
                try Desk.plans(home).clear(item)
            }
        }
        let updates = try look(at: .updates(home))
        for item in updates.items where state.offer(on: item) == nil {
            if state.announced.announce("desk-\(item.path)") { attention("\(item.path) \(Desk.isOfAnotherDesk)") }
        }
        for item in updates.items where item.state == .pending {
            guard let offer = state.offer(on: item), offer.status != .pending else { continue }
            try moveBack(item, of: offer)
        }
        for offer in state.offers {
            let items = updates.items.filter { state.offer(on: $0) == offer }
            guard let item = items.first else { continue }
            switch (offer.status, item.state) {
            case (_, .pending), (.rejected, .rejected), (.accepted, .approved): break
            // Where it was issued again, its other bundle may lie in accepted/ still.
            case (.accepted, .rejected) where !items.allSatisfy({ $0.state == .rejected }): break
            // One that was rejected by a slip of the hand, too.
            case (_, .approved):
                do {
                    try install(try prepare(offer, asSent: false), actor: unknownMover)
                } catch let error as MailboxError {
                    throw error
                } catch {
                    if state.announced.announce("install-\(offer.bundle)-\(error)") {
                        attention("version \(offer.version) cannot be installed: \(error)")
                    }
                }
            case (_, .rejected): try refuse(offer, actor: unknownMover)
            }
        }
        try saveState()
    }

    /// What is decided waits for nobody. Its file lies in `pending/` because a command was stopped before it had moved it, or
    /// because a person wanted to undo the decision, which moves nothing here: there are ways to say the opposite.
    private func moveBack(_ item: DeskItem, of offer: Offer) throws {
        let isAccepted = offer.status == .accepted
        let (place, state) = isAccepted ? ("accepted/", DeskState.approved) : ("rejected/", .rejected)
        if !isAccepted { _ = try takeOutOfUse(offer) }
        do {
            try Desk.updates(home).move(item, to: state)
            attention(
                "version \(offer.version) is \(offer.status.rawValue): its file was moved from pending/ to \(place) again; "
                    + (isAccepted
                        ? "'consilium client reject \(offer.version)' takes it out of use"
                        : "'consilium client accept \(offer.version)' installs it"))
        } catch {
            guard error.kind != .temporary else { throw error }
            let decided = isAccepted ? "installed" : "rejected"
            let line = "version \(offer.version) is \(decided), but its file cannot be moved to \(place): \(error)"
            if self.state.announced.announce("unmoved-\(offer.bundle)") { attention(line) }
        }
    }

    /// What was decided about a plan for one request is no decision for another one.
    func clearPlans(of session: RandomID) throws {
        let desk = Desk.plans(home)
        for item in try look(at: desk).items where item.manifest.session == session { try desk.clear(item) }
    }

    /// Takes away what came of a global that the true one contradicts, and frozen tensors that are not the session's.
    ///
    /// - Parameters:
    ///   - round: the true one's.
    ///   - frozen: SHA-256 of the frozen tensors, as the true one names them.
    ///   - bringsBase: whether it brings them too.
    func clearFalseGlobal(of session: ClientSession, from round: Int, frozen: Digest?, bringsBase: Bool) throws {
        let former = session.global.bundle
        try mailbox.withdraw { $0.kind == .update && $0.session == session.id && $0.round >= round }
        try files.remove(checkpointPath(session.id))
        try files.remove(updatePath(session.id))
        let isUnknown = frozen == nil || session.frozen == nil
        let isFalseBase = session.hasOtherBase(than: frozen) || isUnknown && session.baseBundle == former
        if isFalseBase, !bringsBase { try files.remove(basePath(session.id)) }
        for desk in [Desk.plans(home), .updates(home)] {
            for item in try look(at: desk).items where item.state == .pending && item.id == former {
                try desk.clear(item)
            }
        }
    }

    private func look(at desk: Desk, only: DeskState? = nil) throws -> DeskScan {
        let scan = try desk.scan(only: only, isDecided: state.isDecided) {
            mailbox.isAccepted($0) || state.isOnDesk($0)
        }
        for line in scan.refusals where state.announced.announce("desk-\(line)") { attention(line) }
        return scan
    }

    /// Lays what waits for a person on the desks, unless it lies there already, wherever. Doing it again changes nothing.
    func layOnDesks(_ id: RandomID) throws {
        guard let session = state.session(id) else { return }
        if session.consent == .asked, session.ended == nil {
            let desk = Desk.plans(home)
            if try !look(at: desk).items.contains(where: { $0.manifest.session == id }) {
                let name = DeskName(prefix: "PLAN", number: state.number(of: session), party: server)
                try desk.place(home.archived(session.global.bundle), as: name)
            }
        }
        let waiting = state.offers.filter { $0.session == id && $0.status == .pending }
        guard !waiting.isEmpty else { return }
        let desk = Desk.updates(home)
        let scan = try look(at: desk)
        for offer in waiting where !scan.items.contains(where: { state.offer(on: $0) == offer }) {
            // Two of one version, of a server that was restored from a backup.
            try desk.place(
                home.archived(offer.bundle), as: offer.deskName(server), beside: try look(at: desk))
        }
    }

    // MARK: decisions

    func decide(_ session: ClientSession, consent: ClientSession.Consent, actor: String) throws {
        try audit(
            "plan-\(consent.rawValue)", subject: session.id.hex,
            detail: "\(session.planDigest); in \(session.global.bundle) from \(server)", actor: actor)
        state.change(session: session.id) { $0.consent = consent }
        // On record once the withdrawal is sent: what cannot be sent waits, with the decision beside it.
        if consent == .refused { try withdraw(session: session, reason: "the hospital refuses the plan") }
        try saveState()
    }

    /// One that was accepted goes out of use.
    func refuse(_ offer: Offer, actor: String) throws {
        let wasAccepted = offer.status == .accepted
        let place = try reject(offer, note: wasAccepted ? "; it was installed" : "", actor: actor)
        guard wasAccepted else { return detail("version \(offer.version) is rejected") }
        let left = try state.offers.filter { $0.status == .accepted }.map(\.version)
            .filter { try files.exists(modelPath(version: $0)) }.max()
        attention(
            "version \(offer.version) is rejected and out of use\(lying(place)); "
                + (left.map { "'predict' uses version \($0) from now on" } ?? "no accepted version is left"))
    }

    /// Takes the accepted offers that have the version number of this one out of use, before it is installed in their place:
    /// there is one model file for a number. So the accepted offer of a number, if there is one, is the one whose model lies
    /// there.
    ///
    /// The file on the desk goes first: a run that finds it in `rejected/` does the rest, and one that found it in `accepted/`
    /// would install it again.
    func makeWay(for offer: Offer, actor: String) throws {
        let others = state.offers.filter {
            $0.version == offer.version && $0.bundle != offer.bundle && $0.status == .accepted
        }
        let desk = Desk.updates(home)
        for other in others {
            let scan = try look(at: desk)
            let items = scan.items.filter { state.offer(on: $0) == other }
            for item in items where item.state != .rejected {
                try desk.setAside(item, as: other.deskName(server), beside: scan)
            }
            // An 'mv' has overwritten it.
            if items.isEmpty, try files.exists(home.archived(other.bundle)) {
                try desk.place(
                    home.archived(other.bundle), as: other.deskName(server), in: .rejected, beside: scan)
            }
            let place = try reject(
                other, note: "; it was installed, and session \(offer.session.short) has the same version number",
                actor: actor)
            attention(
                "version \(other.version) of session \(other.session.short) is out of use\(lying(place)): the version of "
                    + "session \(offer.session.short) takes its place under the same number; its file was moved to "
                    + "\(desk.folder(.rejected)), and moved to accepted/ from there it is installed again")
        }
    }

    /// - Returns: where its model lies now; nil where there was none.
    private func reject(_ offer: Offer, note: String, actor: String) throws -> FilePath? {
        try audit(
            "version-rejected", subject: offer.bundle.hex,
            detail: "version \(offer.version) from \(server)\(note)", actor: actor)
        let place = try takeOutOfUse(offer)
        state.change(offer: offer.bundle) { $0.status = .rejected }
        try saveState()
        return place
    }

    private func lying(_ place: FilePath?) -> String {
        place.map { ", its model lies in \($0.removingLastComponent())" } ?? ", there was no model of it"
    }

    // MARK: what waits

    func writePending() throws {
        let plans = try look(at: .plans(home), only: .pending).items.compactMap { item -> PendingItem? in
            guard let session = state.session(item.manifest.session), session.consent == .asked, session.ended == nil
            else { return nil }
            return PendingItem(
                item, lines: state.differences(of: session),
                moves: [.init("train by this plan", to: .approved), .init("refuse", to: .rejected)])
        }
        try show(plans, on: .plans(home))
        let updates = try look(at: .updates(home), only: .pending).items.compactMap { item -> PendingItem? in
            guard let offer = state.offer(on: item), offer.status == .pending else { return nil }
            return PendingItem(
                item,
                lines: [
                    "version \(offer.version); 'consilium client updates' shows what changed and how it scores here"
                ], moves: [.init("install it", to: .approved), .init("refuse", to: .rejected)])
        }
        try show(updates, on: .updates(home))
    }

    private func show(_ items: [PendingItem], on desk: Desk) throws {
        try desk.writePending(items)
        for item in items where state.announced.announce("pending-\(item.item.id)") {
            attention("waits for you\n" + desk.text(for: item))
        }
    }

    /// A file that a person moved tells nothing about who that was.
    private var unknownMover: String { "moved in folder, mover unknown" }
}

extension Offer {
    func deskName(_ server: PartyName) -> DeskName {
        DeskName(prefix: "UPD", number: max(version, 1), party: server)
    }
}

extension ClientState {
    /// What a file on the desk offers. Where its bundle was issued again meanwhile, the file is still the same model.
    func offer(on item: DeskItem) -> Offer? {
        if let offer = offers.first(where: { $0.bundle == item.id }) { return offer }
        guard let session = session(item.manifest.session), session.global.isFinal,
            session.global.round == item.manifest.round
        else { return nil }
        return offers.last { $0.session == session.id }
    }

    /// Bundles that this state itself laid on a desk: between a kill and the next run the mailbox does not know them yet.
    func isOnDesk(_ id: Digest) -> Bool {
        sessions.contains { $0.global.bundle == id } || offers.contains { $0.bundle == id }
    }

    /// Whether nothing is to be decided of a bundle any more.
    func isDecided(_ id: Digest) -> Bool {
        if let offer = offers.first(where: { $0.bundle == id }) { return offer.status != .pending }
        return sessions.contains { $0.global.bundle == id && ($0.consent != .asked || $0.ended != nil) }
    }

    /// Sessions are numbered for people in the order in which they came.
    package func number(of session: ClientSession) -> Int {
        (sessions.firstIndex { $0.id == session.id } ?? 0) + 1
    }

    /// What the plan says otherwise than the request; the whole plan where there was no request.
    package func differences(of session: ClientSession) -> [String] {
        guard let request = session.request.flatMap({ request($0) }) else {
            let plan = session.plan
            return [
                "this hospital made no request for it: \(plan.rounds) rounds of \(plan.localEpochs) epochs, "
                    + "training from \(plan.trainFrom.rawValue)"
            ]
        }
        return session.plan.differences(from: request.request.wishes).map(\.description)
    }
}

import Client
import Federation
import Files
import Mailbox
import Server
import Wire

/// What comes after the first session: the server changes its key, a hospital asks and takes that back, the other one changes
/// its key.
extension Story {
    private static let overlapDays: Int64 = 30

    static let changes: [Step] = [
        Step(name: "server changes its key", party: .server, run: { try $0.changeServerKey($1, $2) }),
        tick(.alpha, "believes the new key"), tick(.beta, "believes the new key"),
        tick(.server, "signs with the new key"),
        Step(name: "alpha asks once more", party: .alpha, run: { try $0.request(.alpha, times: 2, $1, $2) }),
        tick(.alpha, "delivers its second request"), tick(.server, "lays the second request on the desk"),
        Step(name: "alpha takes it back", party: .alpha, run: { try $0.withdraw(.alpha, $1, $2) }),
        tick(.alpha, "delivers the withdrawal"), tick(.server, "hears of the withdrawal"),
        tick(.alpha, "learns that it is withdrawn"),
        Step(name: "beta changes its key", party: .beta, run: { try $0.changeKey(.beta, $1, $2) }),
        tick(.beta, "delivers its new key"), tick(.server, "lays the new key on the desk"),
        tick(.server, "believes the new key of beta") { try $0.approveAll(Desk.enrolments, group: nil) },
        tick(.beta, "signs with its new key"), tick(.server, "hears that"), tick(.beta, "has nothing more to do"),
    ]

    /// Who does not know whether it was done does it again, and is told where it was.
    private func changeServerKey(_ files: any FileSystem, _ now: Timestamp) throws -> [String] {
        let home = try Home.open(path(.server), files: files)
        let run = try Self.patiently(.server) { try ServerRun.open(home, now: now) }
        do {
            _ = try run.rotateKey(
                overlap: Self.overlapDays, validity: nil, agentKey: nil, replacesAge: false, actor: "test")
        } catch let error as ServerError where error.code == .notAllowed {}
        try run.settle()
        return run.report.attention
    }

    private func changeKey(_ party: Party, _ files: any FileSystem, _ now: Timestamp) throws -> [String] {
        let home = try Home.open(path(party), files: files)
        let run = try Self.patiently(party) { try ClientRun.open(home, now: now) }
        do {
            _ = try run.rotateKey(validity: nil, agentKey: nil, replacesAge: false, contact: "", actor: "test")
        } catch let error as ClientError where error.code == .notAllowed {}
        try run.settle()
        return run.report.attention
    }

    private func withdraw(_ party: Party, _ files: any FileSystem, _ now: Timestamp) throws -> [String] {
        try act(party, files, now) { run in
            guard let own = run.state.openRequests.first else { return }
            try run.withdraw(request: own, reason: "a scanner is broken", actor: "test")
        }
    }
}

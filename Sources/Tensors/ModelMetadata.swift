import Wire

/// What of a picture a model sees.
package enum InputCrop: String, CaseIterable, Sendable {
    case none
    /// The bounding box of the head: the dark border's width differs between sources, and so betrays classes.
    case head
}

/// What a safetensors file has to say for itself to be used as a model: `architecture`, `classes` (a JSON array, in the
/// order of the outputs), `image_size` (edge of the square input, pixels); and, where they are not the usual ones, `crop` and
/// `temperature`. Lies in the header's `__metadata__`.
package struct ModelMetadata: Equatable, Sendable {
    /// Side lengths, in pixels, that every network of this program is made for. Below 32, a layer 4 would have less than one
    /// position.
    package static let imageSizes = 32...512

    package var architecture: String
    package var classes: [String]
    package var imageSize: Int
    package var crop: InputCrop
    /// Of the calibration; 1 for none.
    package var temperature: Double

    package init(
        architecture: String, classes: [String], imageSize: Int, crop: InputCrop = .none, temperature: Double = 1
    ) {
        self.architecture = architecture
        self.classes = classes
        self.imageSize = imageSize
        self.crop = crop
        self.temperature = temperature
    }

    package var fields: [String: String] {
        let list = StrictJSON.serialize(.array(classes.map { .string($0) })).dropLast()
        var fields = [
            "architecture": architecture, "classes": String(decoding: list, as: UTF8.self),
            "image_size": "\(imageSize)",
        ]
        if crop != .none { fields["crop"] = crop.rawValue }
        if temperature != 1 { fields["temperature"] = "\(temperature)" }
        return fields
    }

    /// - Returns: nil unless the first three fields are there, and all that are there are in order.
    package init?(fields: [String: String]) {
        guard let architecture = fields["architecture"], !architecture.isEmpty, let list = fields["classes"],
            let size = fields["image_size"].flatMap({ Int($0) }), (1...65_536).contains(size),
            case .array(let values)? = try? StrictJSON.parse(Array(list.utf8), maximumBytes: 1 << 20)
        else { return nil }
        var classes: [String] = []
        for value in values {
            guard case .string(let name) = value else { return nil }
            classes.append(name)
        }
        guard classes.count >= 2 else { return nil }
        guard let crop = InputCrop(rawValue: fields["crop"] ?? InputCrop.none.rawValue),
            let temperature = Double(fields["temperature"] ?? "1"), temperature >= 0.01, temperature <= 100
        else { return nil }
        self.init(
            architecture: architecture, classes: classes, imageSize: size, crop: crop, temperature: temperature)
    }
}

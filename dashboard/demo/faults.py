"""What goes wrong with which family of devices, and what is fitted: the words of the demo's work orders."""

from equipment.models import FailureCause

# For each family: problems of the device by cause, and parts as (name, usual price).
PROBLEMS: dict[str, dict[str, tuple[str, ...]]] = {
    "pump": {
        "wear": (
            "Delivery rate drifts out of tolerance",
            "Door latch worn, alarm on closing",
            "Motor noisy under load",
        ),
        "component": ("Pressure sensor fails self-test", "Keypad does not respond", "Display has missing lines"),
        "software": ("Settings lost after update", "Restarts during use"),
    },
    "monitor": {
        "wear": ("Cuff inflation slow, pump worn", "Connector panel loose", "Screen backlight dim"),
        "component": ("SpO2 channel shows no signal", "Pressure module fails", "Touch screen dead in one corner"),
        "software": ("Freezes on the trend page", "Does not connect to the central station"),
    },
    "recorder": {
        "wear": ("Paper feed slips", "Lead connector worn", "Print head has missing dots"),
        "component": ("One channel without signal", "Amplifier noise on all channels"),
        "software": ("Recordings are not sent to the archive", "Clock wrong after start"),
    },
    "sensor": {
        "wear": ("Contacts worn, reading intermittent", "Keys worn"),
        "component": ("Reading out of tolerance", "Display dead"),
        "software": ("Error code at start",),
    },
    "respiratory": {
        "wear": ("Flow sensor out of tolerance", "Exhalation valve leaks", "Bellows or blower worn"),
        "component": ("Oxygen cell fails calibration", "Fails leak test", "Power supply alarm"),
        "software": ("Self-test stops half way", "Alarm log full, settings not stored"),
    },
    "defibrillator": {
        "wear": ("Charge time too long", "Electrode connector worn"),
        "component": ("Fails energy test", "Self-test reports a circuit fault", "Status indicator shows a fault"),
        "software": ("Clock and event log reset", "Self-test report missing"),
    },
    "x-ray": {
        "wear": ("Tube output low", "Brake of the arm slips", "Cooling below flow limit"),
        "component": ("Detector error, no image", "Collimator blade stuck", "High-voltage fault"),
        "software": ("Reconstruction hangs", "Images are not sent to the archive"),
    },
    "ultrasound": {
        "wear": ("Transducer has dead elements", "Transducer cable worn", "Fan noisy"),
        "component": ("Output below setting", "Power supply fault", "Front panel dead"),
        "software": ("Presets lost", "Does not start after update"),
    },
    "mri": {
        "wear": ("Cold head below its limit", "Table drive slips", "Water cooling below flow limit"),
        "component": ("Gradient amplifier fault", "Receive coil without signal", "Patient call without function"),
        "software": ("Reconstruction server hangs", "Images are not sent to the archive"),
    },
    "electrosurgery": {
        "wear": ("Foot switch intermittent", "Output sockets worn"),
        "component": ("Output below setting", "Contact quality monitor alarms", "Leakage current too high"),
        "software": ("Error code at start",),
    },
    "endoscope": {
        "wear": ("Angulation below its limit", "Bending cover leaks", "Light guide has broken fibres"),
        "component": ("Leak test failed", "No image", "Suction channel blocked"),
        "software": ("Not recognised by the processor",),
    },
    "light": {
        "wear": ("Light output low", "Arm or holder drifts", "Switch intermittent"),
        "component": ("Lamp module dead", "Flickers", "Driver board fault"),
        "software": ("Dimming does not respond",),
    },
    "suction": {
        "wear": ("Vacuum below limit", "Pump noisy", "Castor broken"),
        "component": ("Does not start", "Gauge stuck", "Overflow valve does not close"),
        "software": ("Control board shows a fault code",),
    },
    "furniture": {
        "wear": ("Castor broken", "Sinks under load", "Brake does not hold"),
        "component": ("Actuator dead", "Handset does not respond", "Mains lead damaged inside"),
        "software": ("Control box shows a fault code",),
    },
    "warming": {
        "wear": ("Heater output low", "Fan or pump noisy", "Hose connector leaks"),
        "component": ("Temperature alarm", "Over-temperature cut-out trips", "Probe input fails"),
        "software": ("Set temperature not kept",),
    },
    "neonatal": {
        "wear": ("Seal worn", "Heater output low", "Height adjustment slips"),
        "component": ("Skin temperature probe input fails", "Over-temperature cut-out trips", "Heater dead"),
        "software": ("Alarm settings not kept",),
    },
    "dialysis": {
        "wear": ("Blood pump rotor worn", "Conductivity drifts", "Ultrafiltration out of tolerance"),
        "component": ("Degassing pump fails", "Heater fault", "Blood leak detector alarm"),
        "software": ("Disinfection programme stops", "Treatment data are not sent"),
    },
    "sterilisation": {
        "wear": ("Door seal leaks", "Pump weak, cycle aborted", "Nozzles blocked with scale"),
        "component": ("Temperature sensor drifts", "Inlet valve stuck", "Door drive fault"),
        "software": ("Cycle record not printed",),
    },
    "analyser": {
        "wear": ("Sample path blocked", "Peristaltic tubing worn"),
        "component": ("Electrode module rejected", "Heating block out of tolerance"),
        "software": ("Results are not sent to the laboratory system",),
    },
    "machine": {
        "wear": ("Bearing noisy", "Door seal worn", "Motor runs without pause"),
        "component": ("Temperature alarm", "Speed or fan sensor fails", "Door lock does not release"),
        "software": ("Controller shows a fault code",),
    },
}
COMMON_PROBLEMS: dict[str, tuple[str, ...]] = {
    FailureCause.BATTERY: ("Battery does not hold its charge", "Battery alarm on mains disconnect"),
    FailureCause.UNKNOWN: ("Stopped working during use", "Intermittent fault reported by the ward"),
    FailureCause.ACCESSORY: ("Sensor cable broken", "Hose or tube leaks", "Consumable wrongly seated"),
    FailureCause.USE_ERROR: ("Dropped, housing cracked", "Fluid spilled into the device", "Locked by wrong settings"),
    FailureCause.ENVIRONMENT: ("Failed after power cut", "No network at the bed place", "Wall outlet without power"),
    FailureCause.NO_PROBLEM_FOUND: ("Reported as not working", "Alarm for no visible reason", "Reading doubted"),
}
RESOLUTIONS: dict[str, tuple[str, ...]] = {
    FailureCause.WEAR: ("Worn part replaced, performance test passed", "Overhauled and adjusted, within tolerance"),
    FailureCause.COMPONENT: ("Faulty part replaced, safety test passed", "Board exchanged, all functions tested"),
    FailureCause.SOFTWARE: ("Software reinstalled, configuration restored", "Update applied, ran a day without fault"),
    FailureCause.BATTERY: ("Battery replaced, run-time test passed",),
    FailureCause.UNKNOWN: ("Cause not found; cleaned, reseated connectors, tested without fault",),
    FailureCause.ACCESSORY: ("Accessory exchanged, ward informed",),
    FailureCause.USE_ERROR: ("Damage repaired, user instructed", "Settings restored, user instructed"),
    FailureCause.ENVIRONMENT: ("Supply restored by the building services, device tested",),
    FailureCause.NO_PROBLEM_FOUND: ("Full test passed, no problem found",),
}
PARTS: dict[str, tuple[tuple[str, int], ...]] = {
    "pump": (("Door assembly", 140), ("Pressure sensor", 95), ("Motor unit", 260), ("Keypad foil", 70)),
    "monitor": (("SpO2 board", 310), ("Cuff pump", 120), ("Backlight", 160), ("Connector panel", 190)),
    "recorder": (("Print head", 230), ("Lead connector", 85), ("Amplifier board", 420)),
    "sensor": (("Display", 45), ("Sensor element", 60), ("Key foil", 25)),
    "respiratory": (("Flow sensor", 180), ("Oxygen cell", 130), ("Blower", 1400), ("Exhalation valve", 240)),
    "defibrillator": (("Capacitor unit", 620), ("Status indicator", 110), ("Electrode connector", 140)),
    "x-ray": (("Detector module", 18500), ("Collimator drive", 1900), ("Brake", 420), ("Cooling pump", 2300)),
    "ultrasound": (("Transducer", 3800), ("Power supply", 640), ("Fan", 90)),
    "mri": (("Cold head", 21000), ("Receive coil", 14500), ("Table belt", 780)),
    "electrosurgery": (("Foot switch", 380), ("Output board", 940), ("Socket panel", 160)),
    "endoscope": (("Bending cover", 450), ("Angulation wires", 720), ("Distal cover", 310)),
    "light": (("Lamp module", 240), ("Driver board", 180), ("Switch", 25)),
    "suction": (("Diaphragm set", 60), ("Gauge", 40), ("Overflow valve", 55)),
    "furniture": (("Castor", 45), ("Actuator", 380), ("Handset", 110), ("Brake pedal", 65)),
    "warming": (("Heater element", 150), ("Fan", 70), ("Temperature probe", 60)),
    "neonatal": (("Seal", 55), ("Heater element", 260), ("Fan", 140), ("Probe board", 330)),
    "dialysis": (("Pump segment", 210), ("Heater", 430), ("Conductivity cell", 520), ("Degassing pump", 640)),
    "sterilisation": (("Door seal", 290), ("Vacuum pump", 2600), ("Temperature sensor", 180), ("Inlet valve", 410)),
    "analyser": (("Electrode", 340), ("Tubing set", 90), ("Heating block", 610)),
    "machine": (("Bearing set", 160), ("Door seal", 80), ("Compressor or motor", 720)),
}
BATTERY_PART = ("Battery", 120)
PREVENTIVE_WORK = {
    "passed": "Maintenance done by the checklist, passed",
    "passed_after_repair": "Maintenance done, worn part exchanged, passed",
    "failed": "Failed the performance test, reported for repair",
}
CHECKLIST = ("Visual inspection", "Electrical safety test", "Performance test", "Alarms", "Cleaning")
